//! An HTTP proxy that only tunnels (`CONNECT`, RFC 9110), with one user.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A request for a tunnel is a few lines.
const LONGEST_HEAD: usize = 8 << 10;

/// A running proxy. Stops when dropped.
pub struct Proxy {
    port: u16,
    tunnels: Arc<AtomicU32>,
    running: JoinHandle<()>,
}

impl Proxy {
    /// Starts one that takes this user and no other.
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("a port for the proxy")?;
        let port = listener.local_addr().context("the proxy's port")?.port();
        let pair = Base64::encode_string(format!("{user}:{password}").as_bytes());
        let wanted = Arc::new(format!("Basic {pair}"));
        let tunnels = Arc::new(AtomicU32::new(0));
        let counted = tunnels.clone();
        let running = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (wanted, counted) = (wanted.clone(), counted.clone());
                connections.spawn(async move { drop(tunnel(stream, &wanted, &counted).await) });
            }
        });
        Ok(Self {
            port,
            tunnels,
            running,
        })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many tunnels it opened.
    pub fn tunnels(&self) -> u32 {
        self.tunnels.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn tunnel(mut client: TcpStream, wanted: &str, tunnels: &AtomicU32) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            bail!("too long");
        }
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head).context("a request is text")?;
    let mut lines = head.lines();
    let target = lines
        .next()
        .and_then(|line| line.strip_prefix("CONNECT "))
        .and_then(|line| line.split(' ').next())
        .context("only CONNECT")?;
    let allowed = lines
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == wanted);
    if !allowed {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        client.write_all(answer).await?;
        return Ok(());
    }
    let mut server = TcpStream::connect(target).await?;
    tunnels.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
