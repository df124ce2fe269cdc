//! Operations go by TLS to receivers that private authorities vouch for, and to such as ask who is there.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use taximeter::Sink;
use taximeter_otlp::{Builder, Exporter, Protocol, StartError};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::failures::records;
use crate::{grpc, server};

/// An authority of one's own, as companies have them.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Certified {
    pem: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn vouch_for(&self, name: &str) -> Certified {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certified { pem: certificate.pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// Speaks TLS in front of a server that does not; gives its address. With an authority it asks who is there.
fn in_front_of(server: &str, own: &Certified, asks: Option<&Authority>) -> String {
    let config = ServerConfig::builder();
    let config = match asks {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(authority.roots()));
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let chain = vec![CertificateDer::from_pem_slice(own.pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = server.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // Who is not let in hears so by the handshake.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
    });
    format!("https://localhost:{port}")
}

fn to(url: &str) -> Builder {
    Exporter::builder().endpoint(url)
}

/// Whether three operations came through, or none in the time that is given to them.
fn come_through(builder: Builder) -> bool {
    let (pause, patience) = (Duration::from_millis(50), Duration::from_millis(300));
    let exporter = builder.retry(pause, patience).start().unwrap();
    exporter.accept(records(3)).unwrap();
    assert!(exporter.flush(Duration::from_secs(30)), "{:?}", exporter.counts());
    match exporter.counts().sent {
        0 => false,
        3 => true,
        _ => panic!("{:?}", exporter.counts()),
    }
}

/// By HTTP and by gRPC: a receiver with that certificate, which asks for one of that authority.
fn both(
    own: &Certified,
    asks: Option<&Authority>,
    change: impl Fn(Builder) -> Builder,
) -> [bool; 2] {
    let http = server::Server::start([]);
    let http = in_front_of(&http.url, own, asks);
    let grpc = grpc::Server::start([]);
    let grpc = in_front_of(&grpc.url, own, asks);
    [come_through(change(to(&http))), come_through(change(to(&grpc).protocol(Protocol::Grpc)))]
}

#[test]
fn a_receiver_is_believed_whom_an_authority_of_ones_own_vouches_for() {
    let (ours, other) = (Authority::new(), Authority::new());
    let receiver = ours.vouch_for("localhost");
    let trusting = |authority: &Authority| {
        let pem = authority.pem();
        both(&receiver, None, |builder| builder.trusted_certificates(pem.clone()))
    };
    assert_eq!(trusting(&ours), [true, true]);
    assert_eq!(trusting(&other), [false, false]);
    assert_eq!(both(&receiver, None, |builder| builder), [false, false]);
    // Two authorities in one text, as bundles have them.
    let bundle = other.pem() + &ours.pem();
    let trusting = |builder: Builder| builder.trusted_certificates(bundle.clone());
    assert_eq!(both(&receiver, None, trusting), [true, true]);
    // The authority vouches for another name.
    let elsewhere = ours.vouch_for("elsewhere.test");
    let trusting = |builder: Builder| builder.trusted_certificates(ours.pem());
    assert_eq!(both(&elsewhere, None, trusting), [false, false]);
}

#[test]
fn a_receiver_that_asks_who_is_there_is_told() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let receiver = ours.vouch_for("localhost");
    let told = |client: Option<Certified>| {
        both(&receiver, Some(&clients), |builder| {
            let builder = builder.trusted_certificates(ours.pem());
            match &client {
                Some(Certified { pem, key }) => {
                    builder.client_certificate(pem.as_str(), key.as_str())
                }
                None => builder,
            }
        })
    };
    assert_eq!(told(Some(clients.vouch_for("a client"))), [true, true]);
    assert_eq!(told(None), [false, false]);
    assert_eq!(told(Some(ours.vouch_for("a stranger"))), [false, false]);
}

/// The environment is the process's, so another is asked: this test again, with the variables.
#[test]
fn the_environment_says_where_certificates_are() {
    if std::env::var_os("OTEL_EXPORTER_OTLP_CERTIFICATE").is_some() {
        assert!(come_through(Exporter::builder_from_env().unwrap()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (ours, clients) = (Authority::new(), Authority::new());
    let client = clients.vouch_for("a client");
    let server = server::Server::start([]);
    let url = in_front_of(&server.url, &ours.vouch_for("localhost"), Some(&clients));
    let run = |key: PathBuf| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tls::the_environment_says_where_certificates_are"])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", file("authority.pem", &ours.pem()))
            .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client.pem", &client.pem))
            .env("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", key)
            .env("OTEL_METRICS_EXPORTER", "none")
            .output()
            .unwrap()
    };
    let output = run(file("key.pem", &client.key));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.spans_taken(), 3);
    let output = run(folder.path().join("nowhere.pem"));
    let said = String::from_utf8_lossy(&output.stdout);
    let said = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
    assert!(said.contains("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"), "{said}");
    assert!(said.contains("nowhere.pem"), "{said}");
}

#[test]
fn what_is_no_certificate_or_no_key_is_refused_at_the_start() {
    let authority = Authority::new();
    let client = authority.vouch_for("a client");
    let start =
        |change: &dyn Fn(Builder) -> Builder| match change(to("https://localhost:1")).start() {
            Err(StartError::Endpoint { why, .. }) => why,
            other => panic!("{other:?}"),
        };
    let broken = "-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n";
    for text in ["", broken, client.key.as_str()] {
        let why = start(&|builder| builder.trusted_certificates(text));
        assert_eq!(why, "the trusted certificates hold none in PEM");
        let why = start(&|builder| builder.client_certificate(text, client.key.as_str()));
        assert_eq!(why, "the client's certificate holds none in PEM");
    }
    let why = start(&|builder| builder.client_certificate(client.pem.as_str(), authority.pem()));
    assert_eq!(why, "the client's key holds no private key in PEM");
}
