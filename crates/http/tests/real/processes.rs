//! One trace over two processes, and over the tasks and threads of each.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::routing::any;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use taximeter::{Meter, MeteredExt, OperationRecord};
use taximeter_http::{MeterLayer, MeterMiddleware, Metering, extract};
use tower::{ServiceBuilder, ServiceExt};

/// In the other process: serves a request as an operation of its trace, with one more in a task and one in a thread.
async fn serve(meter: Meter, headers: HeaderMap) -> String {
    let op = meter.operation("serve").remote_parent(extract(&headers)).start();
    let (in_task, in_thread, handle) = (meter.clone(), meter.clone(), op.handle());
    let task = async move { in_task.operation("task").start().succeed() };
    tokio::spawn(task.within(op.handle())).await.unwrap();
    let thread = move || in_thread.operation("thread").parent(&handle).start().succeed();
    tokio::task::spawn_blocking(thread).await.unwrap();
    op.succeed();
    let records = meter.recent(3);
    meter.clear();
    serde_json::to_string(&records).unwrap()
}

/// Is the other process when it is started as that; else it does nothing.
#[test]
fn the_other_process() {
    if std::env::var_os("TAXIMETER_CHILD").is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let meter = Meter::builder().build().unwrap();
        let served = any(move |headers: HeaderMap| serve(meter.clone(), headers));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // One write, so that what is read of it is whole.
        std::io::stdout().write_all(format!("\nlistening {address}\n").as_bytes()).unwrap();
        axum::serve(listener, Router::new().fallback(served)).await.unwrap();
    });
}

struct Other(Child);

impl Other {
    /// Starts this program again as the other process, and says where it listens.
    fn start() -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::the_other_process", "--nocapture"])
            .env("TAXIMETER_CHILD", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| Some(line.unwrap().strip_prefix("listening ")?.to_owned()));
        (Self(child), address.unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn one_trace_over_processes_tasks_and_threads() {
    let (_other, address) = Other::start();
    let url = format!("http://{address}/anything");
    let metering = Metering::new().trace_to("127.0.0.1");
    let by_reqwest = ClientBuilder::new(reqwest::Client::new())
        .with(MeterMiddleware::with(metering.clone()))
        .build();
    let by_tower = ServiceBuilder::new()
        .layer(MeterLayer::with(metering))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let silent = ClientBuilder::new(reqwest::Client::new()).with(MeterMiddleware::new()).build();

    let meter = Meter::builder().build().unwrap();
    let op = meter.operation("ask").start();
    let (trace, span) = (op.trace_id().unwrap(), op.id().unwrap().span_id());
    let work = async {
        let one = by_reqwest.post(&url).send().await.unwrap().bytes().await.unwrap();
        let request = Request::get(&url).body(Body::empty()).unwrap();
        let two = by_tower.oneshot(request).await.unwrap();
        let two = two.into_body().collect().await.unwrap().to_bytes();
        // Who is not on the list of those to be told is told nothing.
        let three = silent.post(&url).send().await.unwrap().bytes().await.unwrap();
        [one, two, three]
    };
    let [one, two, untold] = work.within(op.handle()).await;
    for served in [one, two] {
        let records: Vec<OperationRecord> = serde_json::from_slice(&served).unwrap();
        assert!(records.iter().all(|record| record.trace_id == trace), "{records:?}");
        // Those of several threads come in any order.
        let named = |name: &str| records.iter().find(|record| record.name == *name).unwrap();
        let outer = named("serve");
        assert_eq!((outer.remote_parent, outer.parent), (Some(span), None));
        for inner in [named("task"), named("thread")] {
            assert_eq!((inner.remote_parent, inner.parent), (None, Some(outer.id)));
        }
    }
    let records: Vec<OperationRecord> = serde_json::from_slice(&untold).unwrap();
    assert!(
        records.iter().all(|record| record.trace_id != trace && record.remote_parent.is_none())
    );
}
