//! Statements with placeholders, and the values that are bound to them.

use crossbook_projection::batch::Value;
use crossbook_projection::schema::Table;
use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use crate::options::Dialect;

type Statement<'q> = Query<'q, Any, AnyArguments>;

/// Binds values to the placeholders of a statement, in their order.
pub(crate) fn bind<'q>(query: Statement<'q>, values: impl IntoIterator<Item = Value>) -> Statement<'q> {
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Word(word) => query.bind(word),
    })
}

/// The statement that writes so many rows, of which each has values for so many of the table's columns.
pub(crate) fn upsert(table: &Table, width: usize, rows: usize, dialect: Dialect) -> String {
    let columns = &table.columns[..width];
    let row = format!("({})", vec!["?"; width].join(", "));
    let mut statement = format!("INSERT INTO {} ({}) VALUES ", table.name, columns.join(", "));
    statement.push_str(&vec![row.as_str(); rows].join(", "));
    if table.changes {
        let (key, rest) = columns.split_at(table.key);
        let (begin, value): (String, fn(&str) -> String) = match dialect {
            Dialect::Sqlite => (format!(" ON CONFLICT ({}) DO UPDATE SET ", key.join(", ")), |column| {
                format!("{column} = excluded.{column}")
            }),
            // MariaDB has no other way to name the new row, and MySQL still has this one.
            Dialect::MySql => (" ON DUPLICATE KEY UPDATE ".to_owned(), |column| format!("{column} = VALUES({column})")),
        };
        statement.push_str(&begin);
        statement.push_str(&rest.iter().map(|column| value(column)).collect::<Vec<_>>().join(", "));
    }
    statement
}

#[cfg(test)]
mod tests {
    use crossbook_projection::schema;

    use super::*;

    #[test]
    fn facts_are_inserted_and_states_replaced() {
        let table = Table { name: "t", key: 1, columns: &["a", "b"], changes: false, widths: &[] };
        assert_eq!(upsert(&table, 2, 2, Dialect::MySql), "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)");
        let table = Table { changes: true, ..table };
        let sqlite = "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = excluded.b";
        assert_eq!(upsert(&table, 2, 1, Dialect::Sqlite), sqlite);
        let mysql = "INSERT INTO t (a, b) VALUES (?, ?) ON DUPLICATE KEY UPDATE b = VALUES(b)";
        assert_eq!(upsert(&table, 2, 1, Dialect::MySql), mysql);
        let table = Table { columns: &["a", "b", "c"], ..table };
        assert_eq!(upsert(&table, 2, 1, Dialect::Sqlite), sqlite, "what the row does not have stays as it is");
        assert_eq!(schema::TABLES.iter().filter(|table| !table.changes).count(), 8);
    }
}
