//! The file's country names as ISO 3166 codes.

/// "Somewhere": ISO 3166 leaves this code to its users, and it is a valid pair of letters.
pub const UNKNOWN: &str = "ZZ";

/// The code for a name of the file; [`UNKNOWN`] for regions (European Community, West Indies) and unknown names.
pub fn code(name: &str) -> &'static str {
    match name {
        "United Kingdom" => "GB",
        "EIRE" | "Ireland" => "IE",
        "Germany" => "DE",
        "France" => "FR",
        "Netherlands" => "NL",
        "Spain" => "ES",
        "Switzerland" => "CH",
        "Belgium" => "BE",
        "Portugal" => "PT",
        "Australia" => "AU",
        // Jersey and Guernsey have codes of their own; most of the islands' people live on Jersey.
        "Channel Islands" => "JE",
        "Sweden" => "SE",
        "Italy" => "IT",
        "Cyprus" => "CY",
        "Finland" => "FI",
        "Austria" => "AT",
        "Norway" => "NO",
        "Denmark" => "DK",
        "Greece" => "GR",
        "Japan" => "JP",
        "United Arab Emirates" => "AE",
        "Poland" => "PL",
        "Hong Kong" => "HK",
        "Singapore" => "SG",
        "Israel" => "IL",
        "Malta" => "MT",
        "USA" => "US",
        "Canada" => "CA",
        "Iceland" => "IS",
        "Lithuania" => "LT",
        "Bahrain" => "BH",
        "RSA" => "ZA",
        "Brazil" => "BR",
        "Thailand" => "TH",
        "Korea" => "KR",
        "Lebanon" => "LB",
        "Bermuda" => "BM",
        "Nigeria" => "NG",
        "Czech Republic" => "CZ",
        "Saudi Arabia" => "SA",
        _ => UNKNOWN,
    }
}
