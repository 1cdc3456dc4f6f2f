//! What an instruction does whenever it is executed.

use serde::Deserialize;

/// Bits, as the plugin writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Class(pub u16);

impl Class {
    /// Memory operands that are read: at most 3 are told apart.
    #[must_use]
    pub fn loads(self) -> u64 {
        u64::from(self.0 & 3)
    }

    /// Memory operands that are written.
    #[must_use]
    pub fn stores(self) -> u64 {
        u64::from(self.0 >> 2 & 3)
    }

    /// Locked, or an exchange with memory, which is.
    #[must_use]
    pub fn is_atomic(self) -> bool {
        self.has(4)
    }

    /// A call of a function.
    #[must_use]
    pub fn is_call(self) -> bool {
        self.has(5)
    }

    /// A call through a register or memory. Those through a retpoline are direct calls of a thunk, whose entries count.
    #[must_use]
    pub fn is_indirect_call(self) -> bool {
        self.has(6)
    }

    /// A jump through a register or memory.
    #[must_use]
    pub fn is_indirect_jump(self) -> bool {
        self.has(7)
    }

    /// A return.
    #[must_use]
    pub fn is_return(self) -> bool {
        self.has(8)
    }

    /// A jump, conditional or not.
    #[must_use]
    pub fn is_branch(self) -> bool {
        self.has(9)
    }

    /// A string instruction: TCG counts each iteration, a CPU does not.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.has(10)
    }

    fn has(self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }
}
