//! `/metrics`, `/livez` and `/readyz`, and the signals that stop a run.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::world::Failure;

/// A loop that has not turned for this long is not alive.
const STALLED: Duration = Duration::from_secs(30);

/// How the loop is.
#[derive(Debug, Default)]
pub struct Health {
    /// Since when the loop is to stop.
    stop: OnceLock<Instant>,
    caught_up: AtomicBool,
    turned_at_seconds: AtomicU64,
    waiting: Mutex<Option<String>>,
    /// Why the loop has ended.
    failure: OnceLock<String>,
}

impl Health {
    /// Whether the loop is to stop.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop.get().is_some()
    }

    /// Whether the loop is to stop for at least so long.
    #[must_use]
    pub fn stopped_for(&self, time: Duration) -> bool {
        self.stop.get().is_some_and(|since| since.elapsed() >= time)
    }

    /// The loop has turned once.
    pub fn progressed(&self, caught_up: bool) {
        self.turned_at_seconds.store(seconds(), Ordering::Relaxed);
        if caught_up {
            self.caught_up.store(true, Ordering::Relaxed);
        }
    }

    /// What the source or the sink waits for, if one does: then we are not ready.
    pub fn waits_for(&self, reason: Option<&str>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(str::to_owned);
    }

    /// The loop has ended with this failure.
    pub fn failed(&self, failure: &Failure) {
        self.failure.get_or_init(|| failure.to_string());
    }

    fn alive(&self) -> bool {
        let turned = self.turned_at_seconds.load(Ordering::Relaxed);
        turned == 0 || seconds().saturating_sub(turned) < STALLED.as_secs()
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Starts the endpoint, if there is to be one, and listens for signals: the first stops the loop in good order, the
/// second stops the process.
///
/// # Errors
///
/// When the address cannot be used.
pub fn start(listen: Option<SocketAddr>, health: Arc<Health>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = listen.map(|address| {
        let listener = runtime.block_on(TcpListener::bind(address));
        listener.map_err(|error| Failure::Usage(format!("http.listen: {address} cannot be used: {error}")))
    });
    let server = server.transpose()?.map(|listener| Ok::<_, Failure>((listener, recorder()?))).transpose()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            if let Some((listener, handle)) = server {
                tokio::spawn(serve(listener, handle, Arc::clone(&health)));
            }
            wait_for_signals(&health).await;
        });
    });
    Ok(())
}

/// Latencies from a tenth of a millisecond to a minute.
const BUCKETS: [f64; 17] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

fn recorder() -> Result<PrometheusHandle, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("metrics cannot be recorded: {error}"));
    let builder = PrometheusBuilder::new();
    let builder =
        builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS).map_err(|error| wrong(&error))?;
    builder.install_recorder().map_err(|error| wrong(&error))
}

async fn serve(listener: TcpListener, handle: PrometheusHandle, health: Arc<Health>) {
    let routes = Router::new()
        .route("/metrics", get(move || async move { handle.render() }))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!("the metrics endpoint stopped: {error}");
    }
}

async fn livez(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop has stalled\n")
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let waiting = health.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(failure) = health.failure.get() {
        (StatusCode::SERVICE_UNAVAILABLE, format!("stopping: {failure}\n"))
    } else if let Some(reason) = waiting {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waiting: {reason}\n"))
    } else if health.alive() && health.caught_up.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "still catching up\n".into())
    }
}

async fn wait_for_signals(health: &Health) {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::error!("signals cannot be received; stop the process with kill -9, which loses nothing");
        return std::future::pending().await;
    };
    for round in 0.. {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round > 0 {
            std::process::exit(1);
        }
        tracing::info!("stopping; a second signal stops at once");
        health.stop.get_or_init(Instant::now);
    }
}
