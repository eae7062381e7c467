//! The end-to-end harness: a real Kubernetes control plane, a real Git server, the real `waxwing-controller` and the
//! real `waxwing`, for the scenarios, the demo and the benchmarks.
//!
//! Nothing here stands in for a part of the product or of Kubernetes. What a scenario sees is what a user sees: the
//! objects in the cluster, the exit code of a command, the log of the controller.
//!
//! | to find | look in |
//! |---|---|
//! | how kube-apiserver and its companions are built | [`tools`] |
//! | a control plane on loopback | [`plane`] |
//! | Git over https | [`git_server`], [`repository`] |
//! | a proxy in front of it | [`proxy`] |
//! | the controller as a child process | [`controller`] |
//! | the command-line tool | [`waxwing`] |
//! | one scenario's own corner of all that | [`world`] |
//! | what keeps a machine clean after a crash | [`janitor`] |

use std::sync::LazyLock;

pub mod binaries;
pub mod canary;
pub mod cluster;
pub mod controller;
pub mod git_server;
pub mod janitor;
pub mod plane;
pub mod process;
pub mod proxy;
pub mod repository;
pub mod tls;
pub mod tools;
pub mod wait;
pub mod waxwing;
pub mod world;

/// The one runtime of a test process. Shared planes and their clients live in it, so every scenario runs in it.
pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    // Two TLS stacks could otherwise claim to be the default one; choosing here settles it for every client below.
    // An `Err` only says that somebody has chosen already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    #[expect(
        clippy::expect_used,
        reason = "a process that cannot make threads cannot test anything"
    )]
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime")
});
