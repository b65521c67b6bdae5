//! A monitoring service whose rounds the test makes, and services for it to ask.
#![allow(dead_code)] // each test file uses a part of it

use std::sync::{Arc, Mutex};

use clap::Parser;
use emporium_monitoring::{Config, Keeper, assemble};
use emporium_service_kit::{Clock, ServiceName};
use emporium_test_kit::{Caller, Keys, TestService};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The service, its keeper, and the gateway that asks it.
pub struct Monitoring {
    pub service: TestService,
    pub keeper: Arc<Keeper>,
    pub gateway: Caller,
}

/// Starts it with these peers. It scrapes when it is told to.
pub async fn start(clock: Clock, peers: &[(ServiceName, String)]) -> Monitoring {
    start_with(clock, peers, &[]).await
}

/// The same with settings.
pub async fn start_with(clock: Clock, peers: &[(ServiceName, String)], settings: &[&str]) -> Monitoring {
    let config = || {
        let arguments = ["monitoring", "--scrape-period-ms", "0"].into_iter();
        Config::parse_from(arguments.chain(settings.iter().copied()))
    };
    let slot: Mutex<Option<Arc<Keeper>>> = Mutex::default();
    let service = TestService::start(
        ServiceName::Monitoring,
        &Keys::default(),
        peers,
        clock,
        async |environment| {
            let (service, keeper) = assemble(environment, config()).await?;
            *slot.lock().unwrap() = Some(keeper);
            Ok(service)
        },
    )
    .await;
    let keeper = slot.lock().unwrap().take().unwrap();
    let gateway = service.as_caller(ServiceName::Gateway);
    Monitoring {
        service,
        keeper,
        gateway,
    }
}

impl Monitoring {
    /// Asks all services once.
    pub async fn round(&self) {
        self.keeper.round(std::time::Duration::ZERO).await.unwrap();
    }
}

/// A moment in an address.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap()
}

/// What a false service does when it is asked.
#[derive(Clone)]
pub enum Says {
    /// This text, with status 200.
    Text(String),
    /// These bytes as they are, and then the end.
    Bytes(Vec<u8>),
    /// Nothing, while the connection stays open.
    Nothing,
    /// Metrics without end.
    Endless,
}

/// A service that says what the test wants.
pub struct Peer {
    pub url: String,
    says: Arc<Mutex<Says>>,
}

impl Peer {
    pub async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(says));
        let told = says.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let says = told.lock().unwrap().clone();
                tokio::spawn(answer(socket, says));
            }
        });
        Self { url, says }
    }

    pub fn will_say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }
}

async fn answer(mut socket: TcpStream, says: Says) {
    let mut head = Vec::new();
    let mut piece = [0; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&piece[..count]),
        }
    }
    let _ = match says {
        Says::Text(text) => {
            let length = text.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            socket.write_all((head + &text).as_bytes()).await
        }
        Says::Bytes(bytes) => socket.write_all(&bytes).await,
        Says::Nothing => {
            let _ = socket.read(&mut piece).await;
            Ok(())
        }
        Says::Endless => {
            let _ = socket
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .await;
            while socket.write_all(b"a_metric 1\n").await.is_ok() {}
            Ok(())
        }
    };
}
