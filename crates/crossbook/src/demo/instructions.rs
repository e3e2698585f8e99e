//! What the demo tells whoever started it: where it is, with which keys, and lines that can be pasted as they are.

use std::net::SocketAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::listing::Person;

/// The text. It shows secrets, so it goes to the terminal and never to the log.
pub fn text(http: SocketAddr, admin: SocketAddr, token: &SecretString, people: &[Person], data: &str) -> String {
    let mut out = format!(
        "\
Crossbook demo: a live venue with simulated traders on BTCUSDT, ETHUSDT, SOLUSDT and ETHBTC.

  Page          http://{http}/
  REST          http://{http}/api/v3      reference: http://{http}/docs
  Streams       ws://{http}/ws            ws://{http}/stream
  WebSocket API ws://{http}/ws-api/v3
  Admin API     http://{admin}/admin/v1   metrics: http://{admin}/metrics
  Admin token   {}
  Data folder   {data}

",
        token.expose_secret()
    );
    for person in people {
        out.push_str(&format!(
            "  {} (account {})\n    API key     {}\n    secret      {}\n\n",
            person.name,
            person.account,
            person.api_key,
            person.secret.expose_secret()
        ));
    }
    if let Some(person) = people.first() {
        let secret = person.secret.expose_secret();
        out.push_str(&format!("Trade with curl (as {}):\n\n{}\n\n", person.name, curl(http, &person.api_key, secret)));
        let ccxt = ccxt(http, &person.api_key, secret);
        out.push_str(&format!("Trade with ccxt (pip install ccxt; as {}):\n\n{ccxt}\n\n", person.name));
    }
    out.push_str("Stop with Ctrl-C.\n");
    out
}

/// A signed order, in a shell with curl and openssl.
fn curl(http: SocketAddr, api_key: &str, secret: &str) -> String {
    format!(
        "\
QUERY=\"symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100&timestamp=$(date +%s)000\"
SIGNATURE=$(printf %s \"$QUERY\" | openssl dgst -sha256 -hmac '{secret}' | sed 's/.* //')
curl -sS -X POST -H 'X-MBX-APIKEY: {api_key}' \"http://{http}/api/v3/order?$QUERY&signature=$SIGNATURE\""
    )
}

/// An order by ccxt, in Python. Every URL that ccxt knows is replaced: one that is left alone would send these keys to the
/// exchange that ccxt knows.
fn ccxt(http: SocketAddr, api_key: &str, secret: &str) -> String {
    format!(
        "\
python3 - <<'PYTHON'
import ccxt
venue = ccxt.binance({{
    'apiKey': '{api_key}',
    'secret': '{secret}',
    'options': {{'defaultType': 'spot', 'fetchMarkets': {{'types': ['spot']}}}},
}})
api, sapi = 'http://{http}/api/v3', 'http://{http}/sapi/v1'
venue.urls['api'] = {{'public': api, 'private': api, 'v1': 'http://{http}/api/v1', 'sapi': sapi}}
print(venue.fetch_ticker('BTC/USDT')['last'])
print(venue.create_order('BTC/USDT', 'limit', 'buy', 0.01, 90000))
print(venue.fetch_balance()['USDT'])
PYTHON"
    )
}
