//! Whether a service may start on a store, by what that store knows of itself.

use emporium_service_kit::{ServiceName, StartError};
use time::format_description::well_known::Rfc3339;

use crate::record::Standing;

/// An error that says which store holds, unless this one does.
pub(crate) fn serves(
    standing: &Standing,
    address: &str,
    service: ServiceName,
    setting: &str,
) -> Result<(), StartError> {
    let problem = match standing {
        Standing::Serving { .. } | Standing::Moving(_) => return Ok(()),
        Standing::Left(departure) => format!(
            "what the {service} service keeps was moved from {address} to {} on {}: set it to that store, and move back from \
             there (`emporium move {service} --to URL`) if it is to be here",
            departure.to.address,
            departure.at.format(&Rfc3339).unwrap_or_default(),
        ),
        Standing::Filling { from, .. } => format!(
            "a move of the {service} service from {from} to {address} has not ended: {from} holds; set it to that store, and go on \
             with `emporium move {service}`"
        ),
    };
    Err(StartError::BadSetting {
        setting: setting.to_owned(),
        problem,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::record::{Departure, Place};

    #[test]
    fn a_store_that_does_not_hold_is_refused_and_the_other_one_named() {
        let service = ServiceName::Carts;
        let refusal = |standing| {
            serves(&standing, "redis://h:1", service, "EMPORIUM_CARTS_STORE")
                .map_err(|error| error.to_string())
        };
        assert_eq!(refusal(Standing::default()), Ok(()));
        let left = Standing::Left(Box::new(Departure {
            by: Uuid::now_v7(),
            to: Place {
                address: "redis://other:2".into(),
                sealed: "secret".into(),
            },
            at: datetime!(2030-01-02 03:04 UTC),
        }));
        let text = refusal(left).unwrap_err();
        assert!(text.starts_with("EMPORIUM_CARTS_STORE: "), "{text}");
        assert!(
            text.contains("from redis://h:1 to redis://other:2 on 2030-01-02T03:04:00Z"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
        let filling = Standing::Filling {
            by: Uuid::now_v7(),
            mover: Uuid::now_v7(),
            from: "postgres://own".into(),
        };
        assert!(refusal(filling).unwrap_err().contains("postgres://own holds"));
    }
}
