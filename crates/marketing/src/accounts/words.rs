//! The words that accounts are told apart by.

use crate::words::words;

words! {
    /// How an account stands.
    AccountStatus ["active, expiring, needs_reauth and disconnected"] {
        /// It can be used.
        Active = "active",
        /// It can be used, but its owner must renew the grant soon.
        Expiring = "expiring",
        /// Its grant is spent: its jobs wait until it is connected again.
        NeedsReauth = "needs_reauth",
        /// Somebody disconnected it.
        Disconnected = "disconnected",
    }
}

words! {
    /// What sort of account it is.
    AccountKind ["ad_account, page, instagram_account and business"] {
        /// An ad account.
        AdAccount = "ad_account",
        /// A page (Meta).
        Page = "page",
        /// A business account of Instagram (Meta).
        InstagramAccount = "instagram_account",
        /// A business that others belong to.
        Business = "business",
    }
}

words! {
    /// In which order accounts are listed.
    AccountOrder ["found and behind"] {
        /// As they were found.
        Found = "found",
        /// Those that are synced, the ones most behind first.
        Behind = "behind",
    }
}
