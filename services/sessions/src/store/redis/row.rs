//! A session's hash, as `HMGET` gives it.

use redis::{FromRedisValue, ParsingError, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::model::{Role, Session};
use crate::token::TokenHash;

/// The fields, in the order in which [`Row`] reads them.
pub const FIELDS: [&str; 6] = ["user_id", "role", "began_at", "expires_at", "ends_at", "blocked"];

/// What is kept of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    user_id: Uuid,
    role: Role,
    began_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    blocked: bool,
}

impl Row {
    /// The session with that token.
    pub fn session(self, token: TokenHash) -> Session {
        Session {
            token,
            user_id: self.user_id,
            role: self.role,
            began_at: self.began_at,
            expires_at: self.expires_at,
            ends_at: self.ends_at,
            blocked: self.blocked,
        }
    }
}

/// A row, or nothing where there is no such key.
#[derive(Debug)]
pub struct Found(pub Option<Row>);

impl FromRedisValue for Found {
    /// Straight from the answer's bytes: this is read at every look-up.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(values) = value else {
            return Err("a session's fields come as an array".into());
        };
        let [user_id, role, began_at, expires_at, ends_at, blocked] = values.as_slice() else {
            return Err("a session's fields are six".into());
        };
        if *user_id == Value::Nil {
            return Ok(Self(None));
        }
        Ok(Self(Some(Row {
            user_id: Uuid::try_parse_ascii(bytes(user_id)?).map_err(|_| "no user id")?,
            role: role_of(bytes(role)?)?,
            began_at: time(began_at)?,
            expires_at: time(expires_at)?,
            ends_at: time(ends_at)?,
            blocked: *blocked != Value::Nil,
        })))
    }
}

/// As it is kept.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Customer => "customer",
        Role::Admin => "admin",
    }
}

fn role_of(name: &[u8]) -> Result<Role, ParsingError> {
    [Role::Customer, Role::Admin]
        .into_iter()
        .find(|role| role_name(*role).as_bytes() == name)
        .ok_or_else(|| "no role".into())
}

fn bytes(value: &Value) -> Result<&[u8], ParsingError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err("a session's field is missing".into()),
    }
}

fn time(value: &Value) -> Result<OffsetDateTime, ParsingError> {
    let text = std::str::from_utf8(bytes(value)?)?;
    let micros: i64 = text.parse().map_err(|_| "no time")?;
    from_micros(micros).ok_or_else(|| "no time that there is".into())
}

/// Microseconds since the Unix epoch: what [`emporium_service_kit::Clock`] goes by, and exact in the doubles of Lua and of
/// sorted sets.
pub fn micros(at: OffsetDateTime) -> i64 {
    // All times fit: they end with the year 9999.
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The time of so many microseconds, where there is one.
pub fn from_micros(micros: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_row_is_read_or_refused() {
        let user = Uuid::from_u128(3);
        let id = user.to_string();
        let row = |values: [Value; 6]| Found::from_redis_value(Value::Array(values.to_vec()));
        let [t, role] = [text("1000001"), text("admin")];
        let whole = [
            text(&id),
            role.clone(),
            t.clone(),
            t.clone(),
            t.clone(),
            Value::Nil,
        ];
        let found = row(whole.clone()).unwrap().0.unwrap();
        let at = from_micros(1_000_001).unwrap();
        assert_eq!(
            (found.user_id, found.role, found.began_at, found.blocked),
            (user, Role::Admin, at, false)
        );
        assert_eq!(micros(at), 1_000_001);
        let mut marked = whole.clone();
        marked[5] = text("1");
        assert!(row(marked).unwrap().0.unwrap().blocked);
        assert!(row([const { Value::Nil }; 6]).unwrap().0.is_none());
        for n in 0..5 {
            for bad in [text("x"), Value::Nil, Value::Int(1)] {
                let mut values = whole.clone();
                if n == 0 && bad == Value::Nil {
                    continue;
                }
                values[n] = bad;
                assert!(row(values).is_err(), "{n}");
            }
        }
    }
}
