//! The text that the demo prints: addresses, keys, and lines to paste.

use std::net::SocketAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::listing::Person;

/// The text. It shows secrets, so it goes to the terminal and never to the log.
pub fn text(
    http: SocketAddr,
    admin: SocketAddr,
    token: &SecretString,
    people: &[Person],
    data: &str,
    disk: &str,
) -> String {
    let mut out = format!(
        "\
Crossbook demo: a live venue with simulated traders on BTCUSDT, ETHUSDT, SOLUSDT and ETHBTC.

  Page          http://{http}/
  REST          http://{http}/api/v3      reference: http://{http}/docs
  Streams       ws://{http}/ws            ws://{http}/stream
  WebSocket API ws://{http}/ws-api/v3
  Admin API     http://{admin}/admin/v1   metrics: http://{admin}/metrics
  Console       http://{admin}/console/   the operator's page; its token is below
  Data folder   {data}
  Disk          {disk}

"
    );
    for Person { name, account, api_key, secret } in people {
        let secret = secret.expose_secret();
        out.push_str(&format!("As {name} (account {account}):\n\nexport KEY={api_key} SECRET={secret}\n\n"));
    }
    let token = token.expose_secret();
    out.push_str(&format!(
        "As the operator, for `crossbook admin`; the console asks for the same token:\n\n\
         export CROSSBOOK_ADMIN_URL=http://{admin} CROSSBOOK_ADMIN_TOKEN={token}\n\n"
    ));
    out.push_str(&format!("Trade with curl, in a shell with one of the keys:\n\n{}\n\n", curl(http)));
    out.push_str(&format!("Trade with ccxt (in a virtual environment, `pip install ccxt`):\n\n{}\n\n", ccxt(http)));
    out.push_str("Stop with Ctrl-C.\n");
    out
}

/// A signed order, in a shell with curl and openssl.
fn curl(http: SocketAddr) -> String {
    format!(
        "\
QUERY=\"symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100&timestamp=$(date +%s)000\"
SIGNATURE=$(printf %s \"$QUERY\" | openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.* //')
curl -sS -X POST -H \"X-MBX-APIKEY: $KEY\" \"http://{http}/api/v3/order?$QUERY&signature=$SIGNATURE\""
    )
}

/// An order by ccxt, in Python. Every URL that ccxt knows is replaced: one that is left alone would send these keys to
/// the exchange that ccxt knows.
fn ccxt(http: SocketAddr) -> String {
    format!(
        "\
python3 - <<'PYTHON'
import os, ccxt
venue = ccxt.binance({{
    'apiKey': os.environ['KEY'],
    'secret': os.environ['SECRET'],
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
