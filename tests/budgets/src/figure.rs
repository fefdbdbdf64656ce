//! One line of the report.

use std::fmt;

/// How much there is of something, how much there may be, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Of what.
    pub name: &'static str,
    /// How much there is.
    pub value: usize,
    /// How much there may be.
    pub budget: usize,
    /// Where, the worst first.
    pub places: Vec<String>,
}

/// More places are not printed.
const SHOWN: usize = 10;

impl Figure {
    /// A figure that counts its places and must be 0.
    pub(crate) fn none_of(name: &'static str, places: Vec<String>) -> Self {
        Self { name, value: places.len(), budget: 0, places }
    }

    /// Whether it is past its budget.
    pub fn is_over(&self) -> bool {
        self.value > self.budget
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_over() { "over" } else { "ok  " };
        write!(f, "{state} {}: {} (budget {})", self.name, self.value, self.budget)?;
        if self.is_over() {
            for place in self.places.iter().take(SHOWN) {
                write!(f, "\n       {place}")?;
            }
        }
        Ok(())
    }
}
