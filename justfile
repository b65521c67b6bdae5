# Daily commands; `just` lists them. Each is one cargo call, so nobody needs just.

# Start the shop.
run *ARGS:
    cargo run -- {{ARGS}}

# All tests.
test *ARGS:
    cargo test --workspace {{ARGS}}

# What CI checks besides the tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check

# Write the committed OpenAPI documents and event schemas anew.
update-documents:
    EMPORIUM_UPDATE=1 cargo test --workspace --test openapi

# The benches of benches/README.md.
bench *ARGS:
    cargo run --release -p emporium-benches -- {{ARGS}}

# The book, with live reload (needs mdbook).
book:
    mdbook serve docs
