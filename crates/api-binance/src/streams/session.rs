//! The subscriptions of one stream connection, and the answers to its requests. Names that are no stream, or whose
//! market does not exist (yet), are accepted and never send anything: clients rely on that.

use std::collections::BTreeMap;
use std::future::Ready;
use std::sync::Arc;

use serde_json::{Value, json};
use tungstenite::Utf8Bytes;

use super::hub::Membership;
use super::outbox::Outbox;
use super::request::{self, Ask, Refused};
use super::socket::Session;
use super::topic::Topic;

/// A stream connection's side of the conversation.
#[derive(Debug)]
pub struct StreamSession {
    membership: Membership,
    names: BTreeMap<String, Option<Topic>>,
    streams_max: usize,
}

impl StreamSession {
    /// Subscribed to nothing.
    #[must_use]
    pub fn new(membership: Membership, streams_max: usize) -> Self {
        Self { membership, names: BTreeMap::new(), streams_max }
    }

    /// Subscribes to streams.
    pub fn subscribe(&mut self, names: &[String]) {
        for name in names {
            if self.names.contains_key(name) {
                continue;
            }
            let topic = Topic::parse(name);
            match topic {
                Some(topic) => self.membership.subscribe(topic, name),
                None => drop(self.membership.subscribe_listen_key(name)),
            }
            self.names.insert(name.clone(), topic);
        }
    }

    fn unsubscribe(&mut self, names: &[String]) {
        for name in names {
            match self.names.remove(name) {
                Some(Some(_)) => self.membership.unsubscribe(name),
                Some(None) => self.membership.unsubscribe_listen_key(name),
                None => {}
            }
        }
    }

    fn answer(&mut self, text: &str) -> Result<(), Refused> {
        let request::Request { id, ask } = request::parse(text)?;
        let outbox = Arc::clone(self.membership.outbox());
        let tell = |result: Value| outbox.push(json!({"result": result, "id": id}).to_string());
        match ask {
            Ask::Subscribe(names) => {
                let new = names.iter().filter(|name| !self.names.contains_key(*name)).count();
                if self.names.len() + new > self.streams_max {
                    return Err(Refused::too_many_streams(self.streams_max, &id));
                }
                tell(Value::Null);
                self.subscribe(&names);
            }
            Ask::Unsubscribe(names) => {
                self.unsubscribe(&names);
                tell(Value::Null);
            }
            Ask::List => tell(self.names.keys().cloned().collect()),
            Ask::SetCombined(combined) => {
                outbox.set_combined(combined);
                tell(Value::Null);
            }
            Ask::GetCombined => tell(Value::Bool(outbox.combined())),
        }
        Ok(())
    }
}

impl Session for StreamSession {
    type Work = Ready<()>;

    fn outbox(&self) -> &Arc<Outbox> {
        self.membership.outbox()
    }

    fn receive(&mut self, text: Utf8Bytes) -> Option<Self::Work> {
        if let Err(refused) = self.answer(&text) {
            self.outbox().push(refused.to_json());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::hub::{ConnectionKind, Hub};

    fn session(hub: &Arc<Hub>, streams_max: usize) -> StreamSession {
        let outbox = Outbox::new(&hub.budget, 100_000, false);
        StreamSession::new(hub.connect(ConnectionKind::Streams, [127, 0, 0, 1].into(), outbox), streams_max)
    }

    fn ask(session: &mut StreamSession, text: &str) -> Value {
        session.receive(text.into());
        let answers = session.outbox().taken();
        assert_eq!(answers.len(), 1);
        serde_json::from_str(&answers[0]).unwrap()
    }

    #[test]
    fn subscriptions_come_and_go() {
        let hub = Arc::new(Hub::new());
        let mut session = session(&hub, 10);
        let subscribe =
            r#"{"method":"SUBSCRIBE","params":["btcusdt@depth","btcusdt@depth@1000ms","nonsense"],"id":"a"}"#;
        assert_eq!(ask(&mut session, subscribe), json!({"result": null, "id": "a"}));
        assert_eq!(
            ask(&mut session, r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#),
            json!({"result": ["btcusdt@depth", "btcusdt@depth@1000ms", "nonsense"], "id": 3})
        );
        ask(&mut session, r#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth","nonsense","other"],"id":4}"#);
        assert_eq!(hub.topics(|_| true).len(), 1);
        ask(&mut session, r#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth@1000ms"],"id":5}"#);
        assert_eq!(hub.topics(|_| true).len(), 0);
    }

    #[test]
    fn a_connection_has_so_many_streams_and_no_more() {
        let hub = Arc::new(Hub::new());
        let mut session = session(&hub, 2);
        ask(&mut session, r#"{"method":"SUBSCRIBE","params":["a@trade"],"id":1}"#);
        let refused = ask(&mut session, r#"{"method":"SUBSCRIBE","params":["b@trade","c@trade"],"id":2}"#);
        assert_eq!((&refused["code"], &refused["id"]), (&json!(2), &json!(2)));
        assert_eq!(hub.topics(|_| true).len(), 1);
        let again = ask(&mut session, r#"{"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":3}"#);
        assert_eq!(again, json!({"result": null, "id": 3}));
    }

    #[test]
    fn wrapping_is_a_property() {
        let mut session = session(&Arc::new(Hub::new()), 2);
        assert_eq!(
            ask(&mut session, r#"{"method":"GET_PROPERTY","params":["combined"],"id":1}"#),
            json!({"result": false, "id": 1})
        );
        ask(&mut session, r#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#);
        assert!(session.outbox().combined());
    }
}
