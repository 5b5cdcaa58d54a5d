//! `foreshore-small`: a small pretrained transformer over cells that corrects the closed-form `baseline`.

use crate::learn::Examples;

/// What the network learns from and is judged on: a labelled context, and queries of the same task whose targets are
/// known too. No query is older than the context's newest example had matured.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Labelled past examples, as a fit gets them.
    pub context: Examples,
    /// Examples with the same columns whose targets are to be predicted.
    pub queries: Examples,
}
