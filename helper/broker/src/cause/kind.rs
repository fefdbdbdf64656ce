/// How a failure is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The network or the service: tried again soon.
    Passing,
    /// Somebody must change something: tried again slowly, in case they did.
    Denied,
    /// The caller must sign in, which they do in another terminal: looked for often.
    SignIn,
    /// Nothing can change it in this session.
    Last,
}
