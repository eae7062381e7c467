//! The cluster's private keys and its signer.
