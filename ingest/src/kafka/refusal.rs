//! What stays refused until someone changes something, as the client library tells it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What is wrong and what to do, when trying again is of no use. `section` names the config's options.
pub(super) fn refusal(error: &KafkaError, reason: &str, section: &str) -> Option<String> {
    match error.rdkafka_error_code()? {
        // A token may be had again when its issuer is back.
        Code::Authentication if !reason.contains("OAUTHBEARER token") => Some(format!(
            "{reason}; check `sasl.mechanism` and the credentials (for SCRAM and PLAIN `sasl.username` and \
             `sasl.password`) in `{section}.options`"
        )),
        Code::SSL if reason.contains("certificate verify failed") => Some(format!(
            "{reason}; set `ssl.ca.location` in `{section}.options` to the certificate of the authority that vouches for \
             the broker, and reach the broker by a name that its certificate holds"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_from_what_passes() {
        let told = |code, reason| refusal(&KafkaError::Global(code), reason, "sink");
        let password = told(Code::Authentication, "SASL authentication error: invalid credentials");
        assert!(password.is_some_and(|text| text.contains("`sasl.password`) in `sink.options`")));
        assert!(told(Code::SSL, "x:certificate verify failed: y").is_some_and(|text| text.contains("ssl.ca.location")));
        assert_eq!(told(Code::SSL, "SSL handshake failed: Disconnected"), None);
        assert_eq!(told(Code::Authentication, "Failed to acquire SASL OAUTHBEARER token: no answer"), None);
        assert_eq!(told(Code::BrokerTransportFailure, "Connect failed: refused"), None);
    }
}
