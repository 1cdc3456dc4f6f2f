//! What is being done and how far it is, as data: whoever shows it knows its own terminal.

/// An event of [`crate::Kernels::obtain`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A stage begins, and with it the counting of [`Progress::Advance`] anew.
    Stage {
        /// What is done, as a phrase: `compile linux debian-6.12 + iommu-hooks`.
        what: String,
        /// How many steps it will probably take, where that can be told.
        total_hint: Option<u64>,
    },
    /// So many steps of the stage are done.
    Advance {
        /// Steps since the stage began.
        done: u64,
    },
    /// Something that the user should know and need not act upon.
    Note {
        /// A full sentence.
        message: String,
    },
}

/// Whom progress is told.
pub(crate) type Listener<'a> = dyn FnMut(Progress) + 'a;

/// Announces a stage without a known length.
pub(crate) fn stage(listener: &mut Listener<'_>, what: impl Into<String>) {
    listener(Progress::Stage { what: what.into(), total_hint: None });
}

/// Tells the user something.
pub(crate) fn note(listener: &mut Listener<'_>, message: impl Into<String>) {
    listener(Progress::Note { message: message.into() });
}
