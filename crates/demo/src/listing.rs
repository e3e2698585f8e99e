//! Assets, markets and accounts of the demo venue. They are created once; a venue that has them is left as it is.

use bytes::Bytes;
use crossbook_gateway::secret::{KEY_CHARACTERS, MasterKey, random_text};
use crossbook_gateway::{Error as GatewayError, Gateway};
use crossbook_protocol::command::{Body, IssueApiKey, ListAsset, ListMarket, OpenAccount, TransferRequest};
use crossbook_protocol::registry::{Credential, Permissions};
use crossbook_protocol::{Answer, Refusal};
use crossbook_types::{
    AccountId, Amount, ApiKeyId, Asset, AssetName, Decimal, FeeDiscount, FeeRate, Fees, Filters, MarketStatus, Price,
    Quantity, SymbolId, SymbolName, TransferId, decimal::power_of_ten, market,
};
use crossbook_views::Registry;
use secrecy::{ExposeSecret as _, SecretString};

/// Decimals of every asset here.
pub const DECIMALS: u8 = 8;
/// Assets, and what each simulated account is endowed with.
pub const ASSETS: [(&str, u64); 4] = [("BTC", 400), ("ETH", 8_000), ("SOL", 120_000), ("USDT", 40_000_000)];
/// What each of the two accounts for people gets.
const GIFTS: [(&str, u64); 4] = [("BTC", 5), ("ETH", 100), ("SOL", 1_000), ("USDT", 500_000)];
/// The accounts for people.
pub const PEOPLE: [&str; 2] = ["alice", "bob"];

/// A market of the demo.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Name of the market.
    pub symbol: &'static str,
    /// What is bought and sold.
    pub base: &'static str,
    /// What it is paid in.
    pub quote: &'static str,
    /// Price of one tick.
    tick: &'static str,
    /// Quantity of one lot.
    step: &'static str,
    /// Smallest worth of an order.
    notional_min: &'static str,
    /// Largest quantity of an order.
    quantity_max: &'static str,
    /// Highest price.
    price_max: &'static str,
    /// Where the price begins.
    pub start: f64,
    /// Worth of a usual order in the quote asset.
    pub notional: f64,
}

/// All markets. Tick x step is always a whole number of the quote asset's smallest unit, 10^-8.
#[rustfmt::skip]
pub const MARKETS: [Listing; 4] = [
    Listing { symbol: "BTCUSDT", base: "BTC", quote: "USDT", tick: "0.01", step: "0.00001", notional_min: "5",
              quantity_max: "9000", price_max: "10000000", start: 100_000.0, notional: 1_500.0 },
    Listing { symbol: "ETHUSDT", base: "ETH", quote: "USDT", tick: "0.01", step: "0.0001", notional_min: "5",
              quantity_max: "9000", price_max: "1000000", start: 4_000.0, notional: 1_000.0 },
    Listing { symbol: "SOLUSDT", base: "SOL", quote: "USDT", tick: "0.01", step: "0.001", notional_min: "5",
              quantity_max: "90000", price_max: "100000", start: 200.0, notional: 500.0 },
    Listing { symbol: "ETHBTC", base: "ETH", quote: "BTC", tick: "0.000001", step: "0.01", notional_min: "0.0001",
              quantity_max: "9000", price_max: "1000", start: 0.04, notional: 0.008 },
];

/// The asset in which fees are a quarter less, and what a unit of each quote asset is worth in it, in
/// hundred-millionths.
const DISCOUNT: (&str, u32) = ("SOL", 2_500);
const WORTH: [(&str, u64); 2] = [("BTC", 50_000_000_000), ("USDT", 500_000)];

/// The discount on fees, as far as its assets are listed.
pub fn fee_discount(registry: &Registry) -> FeeDiscount {
    let named = |name| registry.asset_named(name).map(|asset| asset.id);
    let Some(asset) = named(DISCOUNT.0) else { return FeeDiscount::default() };
    let mut rates: Vec<_> = WORTH.iter().filter_map(|&(name, worth)| Some((named(name)?, worth))).collect();
    rates.sort_unstable();
    FeeDiscount { asset, basis_points: DISCOUNT.1, rates, except: Vec::new() }
}

/// Passes over what the venue refuses, as one with older rules refuses what they do not know.
pub fn unless_refused<T>(answer: Result<T, GatewayError>) -> Result<(), Error> {
    match answer {
        Ok(_) | Err(GatewayError::Refused(_)) => Ok(()),
        Err(error) => Err(Error::Gateway(error)),
    }
}

/// Why the demo cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gateway did not take a request.
    #[error("the venue did not accept a request: {0:?}")]
    Gateway(GatewayError),
    /// The partition refused one.
    #[error("the venue refused: {0}")]
    Refused(Refusal),
    /// Another answer came than to what was asked.
    #[error("the venue's answer does not match the request")]
    Answer,
    /// A description above is wrong.
    #[error("{0} is not a valid description")]
    Description(&'static str),
    /// The cryptographic library failed, or an earlier key was sealed under another secret key.
    #[error(transparent)]
    Secret(#[from] crossbook_gateway::secret::Error),
}

/// Credentials of an account for people.
#[derive(Debug)]
pub struct Person {
    /// Label of the account.
    pub name: &'static str,
    /// Id of the account.
    pub account: AccountId,
    /// Its API key.
    pub api_key: String,
    /// The secret to sign with.
    pub secret: SecretString,
}

/// Asks the venue for something.
pub async fn ask(gateway: &Gateway, body: Body) -> Result<Answer, Error> {
    let reply = gateway.submit(body, None).await.map_err(Error::Gateway)?;
    match reply.outcome {
        Ok(Answer::Refused(refusal)) => Err(Error::Refused(refusal)),
        Ok(answer) => Ok(answer),
        Err(_) => Err(Error::Answer),
    }
}

/// Lists assets and markets.
pub async fn list(gateway: &Gateway) -> Result<(), Error> {
    for (name, _) in ASSETS {
        let name = AssetName::new_checked(name).map_err(|_| Error::Description(name))?;
        ask(gateway, Body::ListAsset(ListAsset { name, decimals: DECIMALS })).await?;
    }
    for listing in &MARKETS {
        let description = {
            let registry = gateway.read_model.registry();
            if registry.market_named(listing.symbol).is_some() {
                continue;
            }
            let asset = |name| registry.asset_named(name).copied().ok_or(Error::Answer);
            describe(listing, asset(listing.base)?, asset(listing.quote)?)?
        };
        ask(gateway, Body::ListMarket(Box::new(ListMarket { description }))).await?;
    }
    Ok(())
}

/// A market as it is listed.
pub fn describe(listing: &Listing, base: Asset, quote: Asset) -> Result<market::Description, Error> {
    let decimal = |text| Decimal::parse(text).map_err(|_| Error::Description(listing.symbol));
    let (tick_size, step_size) = (decimal(listing.tick)?, decimal(listing.step)?);
    let whole = |value: Option<i128>| {
        value.and_then(|value| u64::try_from(value).ok()).ok_or(Error::Description(listing.symbol))
    };
    let quantity_max = Quantity(whole(decimal(listing.quantity_max)?.steps_of(step_size))?);
    let price_max = Price(whole(decimal(listing.price_max)?.steps_of(tick_size))?);
    let notional_min = decimal(listing.notional_min)?.rescale(quote.decimals);
    let rate = FeeRate::from_decimal(decimal("0.001")?).ok_or(Error::Description(listing.symbol))?;
    Ok(market::Description {
        id: SymbolId(0),
        symbol: SymbolName::new_checked(listing.symbol).map_err(|_| Error::Description(listing.symbol))?,
        base,
        quote,
        tick_size,
        step_size,
        filters: Filters {
            price_min: Price(1),
            price_max,
            quantity_min: Quantity(1),
            quantity_max,
            market_quantity_max: quantity_max,
            notional_min: Amount(notional_min.ok_or(Error::Description(listing.symbol))?),
            notional_max: Amount(9_000_000 * power_of_ten(quote.decimals).ok_or(Error::Answer)?),
            band_up_percent: 500,
            band_down_percent: 20,
            orders_max: 200,
            algo_orders_max: 5,
            amends_max: 10,
            special: crossbook_types::SpecialFilters::USUAL,
            relative: crossbook_types::RelativeFilters::default(),
            order_lists_max: 20,
        },
        fees: Fees { maker: rate, taker: rate },
        status: MarketStatus::Trading,
        self_trade: crossbook_types::SelfTradeRules::ALL,
    })
}

/// The account of that label; opened if there is none yet.
pub async fn account(gateway: &Gateway, label: &str) -> Result<AccountId, Error> {
    let known =
        gateway.read_model.registry().accounts().find(|account| account.label == label).map(|account| account.id);
    if let Some(known) = known {
        return Ok(known);
    }
    match ask(gateway, Body::OpenAccount(OpenAccount { label: label.to_owned() })).await? {
        Answer::AccountOpened(account) => Ok(account),
        _ => Err(Error::Answer),
    }
}

/// Brings money in. The same `name` again has no second effect.
pub async fn deposit(
    gateway: &Gateway,
    account: AccountId,
    asset: &Asset,
    amount: Amount,
    name: &str,
) -> Result<(), Error> {
    let transfer = TransferId::new_checked(name).map_err(|_| Error::Description("a transfer"))?;
    let request = TransferRequest { account, asset: asset.id, amount, transfer };
    ask(gateway, Body::Transfer(request)).await.map(|_| ())
}

/// Opens and funds the accounts for people, each with an API key.
pub async fn people(gateway: &Gateway, key: &MasterKey) -> Result<Vec<Person>, Error> {
    let mut people = Vec::new();
    for name in PEOPLE {
        let account = account(gateway, name).await?;
        for (asset, whole) in GIFTS {
            let asset = gateway.read_model.registry().asset_named(asset).copied().ok_or(Error::Answer)?;
            deposit(gateway, account, &asset, whole_units(&asset, whole), &format!("gift-{}", asset.name)).await?;
        }
        let known = {
            let registry = gateway.read_model.registry();
            let mut keys = registry.api_keys(account);
            keys.find_map(|key| match &key.credential {
                Credential::Hmac { sealed } => Some((key.key, sealed.clone())),
                _ => None,
            })
        };
        let (api_key, secret) = match known {
            Some((name, sealed)) => {
                let secret = key.open(&name, &sealed)?;
                (name, String::from_utf8_lossy(secret.expose_secret()).into_owned())
            }
            None => issue(gateway, key, account).await?,
        };
        people.push(Person { name, account, api_key: api_key.to_string(), secret: SecretString::from(secret) });
    }
    Ok(people)
}

/// The accounts for people as the page at `/` reads them, to trade with one click.
pub fn demo_accounts(people: &[Person]) -> Bytes {
    let accounts: Vec<_> = people
        .iter()
        .map(|Person { name, api_key, secret, .. }| {
            serde_json::json!({"name": name, "apiKey": api_key, "secret": secret.expose_secret()})
        })
        .collect();
    Bytes::from(serde_json::json!({ "accounts": accounts }).to_string())
}

async fn issue(gateway: &Gateway, key: &MasterKey, account: AccountId) -> Result<(ApiKeyId, String), Error> {
    let name = ApiKeyId::new_checked(&random_text(KEY_CHARACTERS)?).map_err(|_| Error::Answer)?;
    let secret = random_text(KEY_CHARACTERS)?;
    let sealed = key.seal(&name, &SecretString::from(secret.clone()))?;
    let permissions = Permissions { read: true, trade: true };
    let credential = Credential::Hmac { sealed };
    let request = IssueApiKey { account, key: name, permissions, credential, allowed_ips: Vec::new() };
    ask(gateway, Body::IssueApiKey(Box::new(request))).await?;
    Ok((name, secret))
}

/// So many whole units of an asset, as an amount.
pub fn whole_units(asset: &Asset, whole: u64) -> Amount {
    Amount(i128::from(whole) * power_of_ten(asset.decimals).unwrap_or(1))
}

/// A market of the demo as tests need it: without a venue.
#[cfg(test)]
pub fn market_for_tests(symbol: &str) -> crossbook_types::Market {
    let listing = MARKETS.iter().find(|listing| listing.symbol == symbol).unwrap();
    let asset = |name: &str| {
        let at = ASSETS.iter().position(|(known, _)| *known == name).unwrap();
        let id = crossbook_types::AssetId(u32::try_from(at).unwrap());
        Asset { id, name: AssetName::new_checked(name).unwrap(), decimals: DECIMALS }
    };
    crossbook_types::Market::new_checked(describe(listing, asset(listing.base), asset(listing.quote)).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_market_can_be_listed_and_takes_usual_orders() {
        for listing in &MARKETS {
            let market = market_for_tests(listing.symbol);
            let price =
                Price((listing.start / super::super::maker::decimal_value(market.price_decimal(Price(1)))) as u64);
            assert!(market.allows_price(price), "{}", listing.symbol);
            let quantity = super::super::maker::quantity_of(&market, price, listing.notional);
            assert!(quantity.is_some_and(|quantity| quantity.0 > 5), "{} {quantity:?}", listing.symbol);
        }
    }
}
