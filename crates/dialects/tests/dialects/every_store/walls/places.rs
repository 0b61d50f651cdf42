//! Where each route takes ids, beside its path. A route that is not here fails the walk, and so does a parameter or a
//! member of a body that the route has come to know since.

/// What a route is asked.
pub(super) struct Place {
    /// The wire format, the method and the pattern.
    pub(super) route: &'static str,
    /// Every parameter of the query that Saldo's own API knows there.
    pub(super) query: &'static str,
    /// Every member of its body.
    pub(super) members: &'static str,
    /// Queries, with their question mark, and bodies. In them and in the path `@` is somebody else's id, `~` somebody
    /// else's reference or foreign id; `$` is the asker's own account, and `#` an id that is new.
    pub(super) asks: &'static [&'static str],
}

const fn place(
    route: &'static str,
    query: &'static str,
    members: &'static str,
    asks: &'static [&'static str],
) -> Place {
    Place {
        route,
        query,
        members,
        asks,
    }
}

/// Nothing beside the path.
const ALONE: &[&str] = &[""];

pub(super) const PLACES: &[Place] = &[
    place(
        "native POST /clients",
        "",
        "legalName parentId timeZone externalId metadata",
        &[r#"{"legalName":"N","parentId":"@"}"#],
    ),
    place(
        "native GET /clients",
        "externalId limit cursor",
        "",
        &["", "?externalId=~"],
    ),
    place("native GET /clients/{id}", "", "", ALONE),
    place(
        "native PATCH /clients/{id}",
        "",
        "legalName timeZone externalId metadata",
        &["{}", r#"{"legalName":"N","metadata":{"a":1}}"#],
    ),
    place(
        "native POST /clients/{id}/keys",
        "",
        "label scopes expiresAt",
        &[r#"{"label":"L","scopes":["read"]}"#],
    ),
    place("native GET /clients/{id}/keys", "limit cursor", "", ALONE),
    place("native GET /keys", "limit cursor", "", ALONE),
    place("native GET /events", "after limit wait", "", &["", "?after=3"]),
    place("native DELETE /keys/{id}", "", "", ALONE),
    place(
        "native POST /keys/{id}/rotate",
        "",
        "overlapSeconds expiresAt",
        &["", r#"{"overlapSeconds":0}"#],
    ),
    // Nobody there is an operator: it is in `native::signing`.
    place("native POST /signing-key/rotate", "", "", &[]),
    place(
        "native POST /customers",
        "",
        "clientId legalName number externalId metadata",
        &[r#"{"legalName":"N","clientId":"@","externalId":"~"}"#],
    ),
    place(
        "native GET /customers",
        "externalId limit cursor",
        "",
        &["", "?externalId=~"],
    ),
    place("native GET /customers/{id}", "", "", ALONE),
    place(
        "native PATCH /customers/{id}",
        "",
        "legalName externalId metadata",
        &["{}", r#"{"legalName":"N","externalId":"E"}"#],
    ),
    place(
        "native PUT /customers/{id}/dunning",
        "",
        "label inDebtCollection",
        &[r#"{"label":"L","inDebtCollection":true}"#],
    ),
    place("native POST /customers/{id}/erase", "", "", &["", "{}"]),
    place(
        "native GET /customers/{id}/valuation",
        "currency effectiveAt recordedAt",
        "",
        &[
            "?currency=USD",
            "?currency=NOPE",
            "?currency=USD&effectiveAt=2026-01-01T00:00:00Z",
        ],
    ),
    place(
        "native POST /accounts",
        "",
        "ownerId purpose label currency primary limits externalId metadata",
        &[
            r#"{"ownerId":"@","purpose":"main","label":"L"}"#,
            r#"{"ownerId":"@","purpose":"internal","currency":"NOPE"}"#,
        ],
    ),
    place(
        "native GET /accounts",
        "ownerId externalId limit cursor",
        "",
        &["", "?ownerId=@", "?externalId=~"],
    ),
    place("native GET /accounts/{id}", "", "", ALONE),
    place(
        "native PATCH /accounts/{id}",
        "",
        "label status limits primary externalId metadata",
        &[
            r#"{"label":"L"}"#,
            r#"{"status":"closed"}"#,
            r#"{"primary":true}"#,
            r#"{"limits":[{"asset":"USD","credit":"unlimited"}]}"#,
        ],
    ),
    place("native POST /assets", "", "code network exponent kind", &[]),
    place("native GET /assets", "limit cursor", "", ALONE),
    place("native PUT /rates", "", "base quote rate asOf source", &[]),
    place("native GET /rates", "limit cursor", "", ALONE),
    place(
        "native GET /accounts/{id}/balances",
        "recordedAt effectiveAt position",
        "",
        &["", "?position=1", "?recordedAt=2026-01-01T00:00:00Z"],
    ),
    place(
        "native GET /accounts/{id}/entries",
        "from to limit cursor",
        "",
        &["", "?limit=1"],
    ),
    place(
        "native POST /transactions",
        "",
        "id postings reference effectiveAt hold force externalId metadata",
        &[
            r#"{"postings":[{"from":"$","to":"@","asset":"USD","amount":"1"}]}"#,
            r#"{"postings":[{"from":"@","to":"$","asset":"USD","amount":"1"}],"reference":"~","hold":{}}"#,
            r#"{"postings":[{"from":"@","to":"@","asset":"NOPE","amount":"0"}],"force":true}"#,
        ],
    ),
    place(
        "native POST /transactions/batch",
        "",
        "transactions atomic",
        &[
            r##"{"transactions":[{"id":"#","postings":[{"from":"$","to":"@","asset":"USD","amount":"1"}]}]}"##,
            r##"{"transactions":[{"id":"#","postings":[{"from":"@","to":"$","asset":"USD","amount":"1"}]}],"atomic":true}"##,
        ],
    ),
    place(
        "native GET /transactions",
        "reference accountId externalId from to limit cursor",
        "",
        &[
            "",
            "?accountId=@",
            "?reference=~",
            "?externalId=~",
            "?accountId=@&limit=1",
        ],
    ),
    place("native GET /transactions/{id}", "", "", ALONE),
    place(
        "native POST /transactions/{id}/reverse",
        "",
        "postings force",
        &["", r#"{"postings":[{"index":7,"amount":"1"}],"force":true}"#],
    ),
    place(
        "native GET /holds",
        "accountId status limit cursor",
        "",
        &["", "?accountId=@"],
    ),
    place("native GET /holds/{id}", "", "", ALONE),
    place(
        "native POST /holds/{id}/capture",
        "",
        "amount postings final allowOver force",
        &[
            "",
            r#"{"amount":"1"}"#,
            r#"{"postings":[{"index":7,"amount":"1"}]}"#,
        ],
    ),
    place(
        "native POST /holds/{id}/release",
        "",
        "amount postings",
        &["", r#"{"amount":"1"}"#],
    ),
    place("conduit GET /customers/{id}/account", "", "", ALONE),
    place("conduit GET /clients/accounts", "", "", ALONE),
    place(
        "magicline GET /customers/{customerId}/account/balances",
        "",
        "",
        ALONE,
    ),
    // What is asked there is in `a_public_half_opens_nothing`.
    place("polygon POST /auth/token", "", "", &[]),
    place(
        "polygon GET /customers/{id}/balance",
        "",
        "",
        &["", "?estimatedBalanceCurrencyCode=NOPE"],
    ),
    place("light GET /card-balance-accounts/{accountId}", "", "", ALONE),
];
