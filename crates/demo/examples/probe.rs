//! Probe.
use std::time::Instant;
use taximeter_demo::*;
fn main() {
    let meter = taximeter::Meter::builder().persistence(false).build().unwrap();
    let dir = std::env::args().nth(1).unwrap();
    let stream = std::env::args().nth(2).is_some();
    let t = Instant::now();
    let s =
        StandIn::start(StandInConfig::default().seed(1).faults(FaultRates::busy_day())).unwrap();
    println!("start {:?}", t.elapsed());
    let t = Instant::now();
    let mut c = RagConfig::for_stand_in(dir, &s);
    c.stream = stream;
    let app = RagApp::open(c, meter.clone()).unwrap();
    println!(
        "open {:?} docs {} passages {}",
        t.elapsed(),
        app.documents().len(),
        app.passage_count()
    );
    let t = Instant::now();
    let qs = app.questions(1, 300);
    println!("questions {:?}", t.elapsed());
    for q in qs.iter().take(25) {
        println!("  {:.120}", q.text)
    }
    let t = Instant::now();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|sc| {
        for _ in 0..4 {
            sc.spawn(|| {
                while let Some(q) = qs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let r = app.ask(&q.text);
                    if next.load(std::sync::atomic::Ordering::Relaxed) < 15 {
                        println!("{:?}\n", r)
                    }
                }
            });
        }
    });
    println!("300 in {:?}\n{:#?}", t.elapsed(), s.served());
}
