//! Stand-in addresses: what names resolve to inside.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_aws_pipes::{POOL_V4, POOL_V6};

use crate::rules::Name;

/// First number that a name may get; those before are kept back.
const FIRST: u32 = 256;
/// Number after the last of a /15.
const END: u32 = 1 << 17;
/// Names at once; the one that was longest out of use makes room. Far fewer than there are addresses, so that one that
/// was given up stays unused while some client may still remember it.
const NAMES: usize = 16_384;

/// The gateway itself: resolver and explicit proxy.
pub(crate) const GATEWAY: u32 = 1;
/// `host.internal`
pub(crate) const HOST: u32 = 2;

/// Which name has which number.
#[derive(Debug)]
pub(crate) struct Pool {
    numbers: HashMap<Name, u32>,
    names: HashMap<u32, (Name, u64)>,
    by_use: BTreeMap<u64, u32>,
    uses: u64,
    next: u32,
    most: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(NAMES)
    }
}

impl Pool {
    fn new(most: usize) -> Self {
        Self { numbers: HashMap::new(), names: HashMap::new(), by_use: BTreeMap::new(), uses: 0, next: FIRST, most }
    }

    /// The number of a name: the same as long as the name is in use.
    pub(crate) fn number(&mut self, name: &Name) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            self.touch(number);
            return number;
        }
        if self.numbers.len() >= self.most
            && let Some((_, oldest)) = self.by_use.pop_first()
            && let Some((name, _)) = self.names.remove(&oldest)
        {
            self.numbers.remove(&name);
        }
        while self.names.contains_key(&self.next) {
            self.next = after(self.next);
        }
        let number = self.next;
        self.next = after(number);
        self.uses += 1;
        self.numbers.insert(name.clone(), number);
        self.names.insert(number, (name.clone(), self.uses));
        self.by_use.insert(self.uses, number);
        number
    }

    /// The name of a number, which is in use now.
    pub(crate) fn name(&mut self, number: u32) -> Option<Name> {
        self.touch(number);
        self.names.get(&number).map(|(name, _)| name.clone())
    }

    fn touch(&mut self, number: u32) {
        if let Some((_, used)) = self.names.get_mut(&number) {
            self.by_use.remove(used);
            self.uses += 1;
            *used = self.uses;
            self.by_use.insert(self.uses, number);
        }
    }
}

fn after(number: u32) -> u32 {
    if number + 1 >= END { FIRST } else { number + 1 }
}

/// The IPv4 address with this number.
pub(crate) fn v4(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::from(POOL_V4).to_bits() | number)
}

/// The IPv6 address with this number.
pub(crate) fn v6(number: u32) -> Ipv6Addr {
    let [a, b, c, d] = POOL_V6;
    Ipv6Addr::from_bits(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_bits() | u128::from(number))
}

/// The number of an address of the pool.
pub(crate) fn number(address: IpAddr) -> Option<u32> {
    let number = match address {
        IpAddr::V4(address) => address.to_bits().checked_sub(Ipv4Addr::from(POOL_V4).to_bits())?,
        IpAddr::V6(address) => u32::try_from(address.to_bits().checked_sub(v6(0).to_bits())?).ok()?,
    };
    (number < END).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn a_name_keeps_its_number_in_both_families() {
        let mut pool = Pool::default();
        let first = pool.number(&name("a.test"));
        assert_eq!(first, FIRST);
        assert_eq!(pool.number(&name("b.test")), FIRST + 1);
        assert_eq!(pool.number(&name("a.test")), first);
        assert_eq!(v4(first), Ipv4Addr::new(198, 18, 1, 0));
        assert_eq!(v6(first).to_string(), "fd61:6761:7773::100");
        for address in [IpAddr::from(v4(first)), v6(first).into()] {
            assert_eq!(number(address).and_then(|n| pool.name(n)), Some(name("a.test")));
        }
    }

    #[test]
    fn what_is_beside_the_pool_has_no_number() {
        for text in
            ["198.17.255.255", "198.20.0.0", "fd61:6761:7773::2:0", "fd61:6761:7773:1::1", "::", "255.255.255.255"]
        {
            assert_eq!(number(text.parse().unwrap()), None, "{text}");
        }
        assert_eq!(number("198.19.255.255".parse().unwrap()), Some(END - 1));
    }

    #[test]
    fn the_name_longest_out_of_use_makes_room_and_its_number_rests() {
        let mut pool = Pool::new(2);
        let a = pool.number(&name("a.test"));
        let b = pool.number(&name("b.test"));
        assert!(pool.name(a).is_some());
        let c = pool.number(&name("c.test"));
        assert_eq!(pool.name(b), None);
        assert_eq!(pool.name(a), Some(name("a.test")));
        assert!(c > b, "a number that was given up is not given out again at once");
        for n in 0..200_000 {
            let number = pool.number(&name(&format!("n{n}.test")));
            assert!((FIRST..END).contains(&number));
        }
        assert_eq!((pool.numbers.len(), pool.names.len(), pool.by_use.len()), (2, 2, 2));
    }
}
