//! Whom an exporter trusts, and how it says who it is itself, where a receiver speaks TLS.

use std::fmt;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Certificates and a key in PEM, as they were read; nothing of it means the authorities that browsers trust, and a client
/// that says nothing of itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Who may vouch for a receiver, and nobody else.
    pub(crate) roots: Option<Vec<u8>>,
    /// The client's certificate, with those that vouch for it behind it.
    pub(crate) chain: Option<Vec<u8>>,
    /// The key of that certificate.
    pub(crate) key: Option<Vec<u8>>,
}

impl Trust {
    /// What is missing or cannot be read, if anything.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        self.of_http().map(drop)
    }

    /// For requests over HTTP.
    pub(crate) fn of_http(&self) -> Result<TlsConfig, &'static str> {
        let mut config = TlsConfig::builder();
        if let Some(roots) = &self.roots {
            let roots = certificates(roots).ok_or("the trusted certificates hold none in PEM")?;
            config = config.root_certs(RootCerts::from(roots));
        }
        let client = match (&self.chain, &self.key) {
            (Some(chain), Some(key)) => {
                let chain =
                    certificates(chain).ok_or("the client's certificate holds none in PEM")?;
                let key = PrivateKey::from_pem(key)
                    .map_err(|_| "the client's key holds no private key in PEM")?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            (None, None) => None,
            (Some(_), None) => return Err("the client's certificate needs its key"),
            (None, Some(_)) => return Err("the client's key needs its certificate"),
        };
        Ok(config.client_cert(client).build())
    }

    /// For requests over gRPC.
    #[cfg(feature = "grpc")]
    pub(crate) fn of_grpc(&self) -> tonic::transport::ClientTlsConfig {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        let config = match &self.roots {
            Some(roots) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots)),
            None => ClientTlsConfig::new().with_webpki_roots(),
        };
        match (&self.chain, &self.key) {
            (Some(chain), Some(key)) => config.identity(Identity::from_pem(chain, key)),
            _ => config,
        }
    }
}

/// All certificates of a text in PEM; none where it holds none, or a broken one.
fn certificates(pem: &[u8]) -> Option<Vec<Certificate<'static>>> {
    let certificate = |item| match item {
        Ok(PemItem::Certificate(one)) => Some(Some(one)),
        Ok(_) => None,
        Err(_) => Some(None),
    };
    let certificates: Option<Vec<_>> = parse_pem(pem).filter_map(certificate).collect();
    certificates.filter(|certificates| !certificates.is_empty())
}

impl fmt::Debug for Trust {
    /// The key is shown to nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.is_some())
            .field("client", &self.chain.is_some())
            .finish_non_exhaustive()
    }
}
