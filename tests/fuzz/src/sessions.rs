//! Any bytes as a session in JSON, ours or the original system's: what is written of it is read as it was.

use taximeter_models::Session;

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(session) = serde_json::from_slice::<Session>(bytes) else { return };
    let written = serde_json::to_vec(&session).expect("a session is JSON");
    let read: Session = serde_json::from_slice(&written).expect("what was written is read");
    let again = serde_json::to_vec(&read).expect("a session is JSON");
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&again));
}
