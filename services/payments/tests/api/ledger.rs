//! The database itself keeps the books right.

use uuid::Uuid;

use crate::Shop;

async fn refused(shop: &Shop, sql: &'static str, words: &str) {
    let error = sqlx::raw_sql(sql)
        .execute(shop.payments.db().pool())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(words), "{sql}: {error}");
}

#[tokio::test]
async fn entries_are_append_only_and_sum_to_zero() {
    let shop = Shop::start().await;
    shop.put(Uuid::now_v7(), "tok_ok", 100).await.expect(200);
    for sql in [
        "UPDATE payments_ledger_entry SET amount = amount + 1",
        "DELETE FROM payments_ledger_entry",
        "TRUNCATE payments_ledger_entry",
        "UPDATE payments_ledger_transaction SET at = now()",
        "DELETE FROM payments_ledger_transaction",
        "TRUNCATE payments_ledger_transaction",
        "DELETE FROM payments_ledger_account",
    ] {
        refused(&shop, sql, "append-only").await;
    }
    refused(
        &shop,
        "INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
         SELECT id, 'sales', 1, 'GBP' FROM payments_ledger_transaction",
        "sum to zero",
    )
    .await;
    // Two currencies do not make up for each other.
    refused(
        &shop,
        "INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
         SELECT id, 'sales', sign, CASE WHEN sign = 1 THEN 'GBP' ELSE 'EUR' END
         FROM payments_ledger_transaction, unnest(ARRAY[1, -1]) AS sign",
        "sum to zero",
    )
    .await;
    for sql in [
        "INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
         SELECT id, 'sales', sign, 'GBP' FROM gen_random_uuid() AS id, unnest(ARRAY[1, -1]) AS sign",
        "INSERT INTO payments_ledger_entry (transaction_id, account, amount, currency)
         SELECT id, 'elsewhere', sign, 'GBP' FROM payments_ledger_transaction, unnest(ARRAY[1, -1]) AS sign",
    ] {
        refused(&shop, sql, "no transaction or no account").await;
    }
    refused(
        &shop,
        "INSERT INTO payments_ledger_transaction SELECT gen_random_uuid(), kind, reference, at FROM payments_ledger_transaction",
        "payments_ledger_transaction_reference_kind_key",
    )
    .await;
    assert_eq!(shop.books().await, [100, -100, 0, 0]);
}

#[tokio::test]
async fn charges_cannot_be_refunded_beyond_their_amount() {
    let shop = Shop::start().await;
    shop.put(Uuid::now_v7(), "tok_ok", 100).await.expect(200);
    refused(
        &shop,
        "UPDATE payments_charge SET refunded = 101",
        "check constraint",
    )
    .await;
    refused(
        &shop,
        "UPDATE payments_charge SET refunded = -1",
        "check constraint",
    )
    .await;
    refused(
        &shop,
        "UPDATE payments_charge SET captured = false",
        "check constraint",
    )
    .await;
}
