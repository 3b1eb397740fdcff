-- Transactions, their legs, their history and the effects they ask for.
-- Words are guarded by CHECKs that mirror the enums of reconciler/core/status.py.

CREATE TABLE transactions (
    id VARCHAR NOT NULL PRIMARY KEY,
    tenant VARCHAR NOT NULL,
    workflow VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    previous_status VARCHAR,
    outcome VARCHAR,
    status_since DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    dispatched_at DATETIME,
    next_poll_at DATETIME,
    last_poll_at DATETIME,
    last_full_poll_at DATETIME,
    -- When a person asked for a look at it; none once it was looked at.
    asked_at DATETIME,
    failures INTEGER NOT NULL DEFAULT 0,
    unchanged_looks INTEGER NOT NULL DEFAULT 0,
    -- The last words seen of each leg, by role and resource: rewritten by every look.
    sights JSON NOT NULL,
    -- What the last look made of each rule, for `explain`.
    considered JSON NOT NULL,
    parked_reason VARCHAR,
    parked_detail VARCHAR,
    parked_since DATETIME,
    paused_since DATETIME,
    paused_by VARCHAR,
    paused_reason VARCHAR,
    history_length INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    claimed_by VARCHAR,
    claimed_until DATETIME,
    CONSTRAINT workflow_is_known CHECK (
        workflow IN ('RET-STD', 'RET-PUA', 'RET-EXP', 'RET-LOCAL')
    ),
    CONSTRAINT status_is_known CHECK (
        status IN (
            'RESOLVED', 'REQUEST_PLACED_AT_SUPPLYING_AGENCY', 'CONFIRMED',
            'REQUEST_PLACED_AT_BORROWING_AGENCY', 'REQUEST_PLACED_AT_PICKUP_AGENCY',
            'PICKUP_TRANSIT', 'RECEIVED_AT_PICKUP', 'READY_FOR_PICKUP', 'LOANED',
            'RETURN_TRANSIT', 'COMPLETED', 'FINALISED', 'NOT_SUPPLIED_CURRENT_SUPPLIER',
            'AWAITING_RETURN_TO_SUPPLIER', 'CANCELLED', 'HANDED_OFF_AS_LOCAL', 'ERROR'
        )
    ),
    CONSTRAINT outcome_is_known CHECK (
        outcome IN ('SUPPLIED', 'NOT_SUPPLIED', 'CANCELLED', 'UNKNOWN')
    ),
    CONSTRAINT live_has_next_poll CHECK (
        next_poll_at IS NOT NULL
        OR status IN ('FINALISED', 'HANDED_OFF_AS_LOCAL', 'ERROR')
        -- once cleared, only another item submitted by the caller goes on from here
        OR status = 'NOT_SUPPLIED_CURRENT_SUPPLIER'
    ),
    CONSTRAINT parked_is_whole CHECK ((parked_reason IS NULL) = (parked_since IS NULL)),
    CONSTRAINT pause_is_whole CHECK (
        (paused_since IS NULL) = (paused_by IS NULL)
        AND (paused_since IS NULL) = (paused_reason IS NULL)
    ),
    CONSTRAINT claim_is_whole CHECK ((claimed_by IS NULL) = (claimed_until IS NULL))
);

-- The due query reads one tenant's end of this index: O(due), whatever is tracked.
CREATE INDEX transactions_due ON transactions (tenant, next_poll_at)
    WHERE next_poll_at IS NOT NULL AND paused_since IS NULL;
CREATE INDEX transactions_claimed ON transactions (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX transactions_failing ON transactions (failures) WHERE failures > 0;
CREATE INDEX transactions_asked ON transactions (tenant) WHERE asked_at IS NOT NULL;
CREATE INDEX transactions_status ON transactions (status, status_since);

-- Which process looks after a library. Every taking raises `term`, which guards all writes for its
-- transactions; every renewal raises `beat`. Others judge by their own monotonic clock whether it
-- still moves: `renewed_at` is for people to read.
CREATE TABLE leases (
    tenant VARCHAR NOT NULL PRIMARY KEY,
    owner VARCHAR,
    term INTEGER NOT NULL DEFAULT 0,
    beat INTEGER NOT NULL DEFAULT 0,
    renewed_at DATETIME NOT NULL
);

-- The daemons that share the libraries, by the same beat; a standby is one that holds none.
CREATE TABLE daemons (
    owner VARCHAR NOT NULL PRIMARY KEY,
    beat INTEGER NOT NULL DEFAULT 0,
    renewed_at DATETIME NOT NULL
);

CREATE TABLE legs (
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    role VARCHAR NOT NULL,
    host_lms VARCHAR NOT NULL,
    user_id VARCHAR,
    user_primary_id VARCHAR,
    request_id VARCHAR,
    mms_id VARCHAR,
    holding_id VARCHAR,
    item_pid VARCHAR,
    item_barcode VARCHAR,
    loan_id VARCHAR,
    record_state VARCHAR,
    request_placed_at DATETIME,
    loan_seen_at DATETIME,
    loan_due_at DATETIME,
    due_wanted_at DATETIME,
    competing_hold_at DATETIME,
    PRIMARY KEY (transaction_id, role),
    CONSTRAINT role_is_known CHECK (role IN ('supplier', 'borrower', 'pickup'))
);
CREATE INDEX legs_request ON legs (host_lms, request_id);
CREATE INDEX legs_item ON legs (host_lms, item_pid);
-- Whose a loan is that a library shows: one copy goes out for many lends of one virtual patron.
CREATE INDEX legs_loan ON legs (host_lms, loan_id) WHERE loan_id IS NOT NULL;

CREATE TABLE history (
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    seq INTEGER NOT NULL,
    at DATETIME NOT NULL,
    kind VARCHAR NOT NULL,
    from_status VARCHAR,
    to_status VARCHAR,
    rule VARCHAR,
    inferred BOOLEAN NOT NULL DEFAULT 0,
    actor VARCHAR NOT NULL,
    reason VARCHAR,
    detail VARCHAR,
    evidence JSON NOT NULL,
    PRIMARY KEY (transaction_id, seq),
    CONSTRAINT kind_is_known CHECK (
        kind IN ('transition', 'observation', 'effect', 'attention', 'command')
    ),
    CONSTRAINT transition_is_whole CHECK (
        kind <> 'transition'
        OR (from_status IS NOT NULL AND to_status IS NOT NULL AND rule IS NOT NULL)
    )
);

CREATE TABLE intents (
    id VARCHAR NOT NULL PRIMARY KEY,
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    seq INTEGER NOT NULL,
    asked_by INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    host_lms VARCHAR NOT NULL,
    thing_id VARCHAR NOT NULL DEFAULT '',
    state VARCHAR NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    ambiguities INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    next_attempt_at DATETIME,
    sent_at DATETIME,
    last_error VARCHAR,
    last_code VARCHAR,
    tracking_id VARCHAR,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    CONSTRAINT intent_once_per_hop UNIQUE (transaction_id, asked_by, kind, role, thing_id),
    CONSTRAINT intent_role_is_known CHECK (role IN ('supplier', 'borrower', 'pickup')),
    CONSTRAINT intent_kind_is_known CHECK (
        kind IN (
            'ensure_virtual_patron', 'ensure_supplier_hold', 'ensure_virtual_bib',
            'ensure_virtual_holding', 'ensure_virtual_item', 'ensure_borrower_hold',
            'ensure_pickup_hold', 'ensure_virtual_item_in_transit', 'ensure_supplier_loan',
            'ensure_borrower_loan', 'ensure_renewed', 'ensure_no_renewal', 'ensure_loan_closed',
            'ensure_hold_cancelled', 'ensure_virtual_item_removed',
            'ensure_virtual_holding_removed', 'ensure_virtual_bib_removed', 'notify'
        )
    ),
    CONSTRAINT intent_state_is_known CHECK (
        state IN (
            'withheld', 'planned', 'sent', 'ambiguous', 'refused', 'parked', 'done', 'withdrawn'
        )
    )
);
CREATE INDEX intents_not_over ON intents (transaction_id)
    WHERE state NOT IN ('done', 'withdrawn');
CREATE INDEX intents_of_transaction ON intents (transaction_id, asked_by, seq);

-- The ledger: what exists in an Alma for a lend, and what became of it.
CREATE TABLE things (
    id VARCHAR NOT NULL PRIMARY KEY,
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    kind VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    host_lms VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    owned BOOLEAN NOT NULL,
    trusted BOOLEAN NOT NULL,
    user_id VARCHAR,
    request_id VARCHAR,
    mms_id VARCHAR,
    holding_id VARCHAR,
    item_pid VARCHAR,
    loan_id VARCHAR,
    created_at DATETIME NOT NULL,
    ended_at DATETIME,
    CONSTRAINT thing_kind_is_known CHECK (
        kind IN ('virtual_patron', 'hold', 'bib', 'holding', 'item', 'loan')
    ),
    CONSTRAINT thing_role_is_known CHECK (role IN ('supplier', 'borrower', 'pickup')),
    CONSTRAINT thing_state_is_known CHECK (state IN ('present', 'gone', 'handed_over'))
);
CREATE INDEX things_of_transaction ON things (transaction_id);
CREATE INDEX things_loan ON things (host_lms, loan_id) WHERE loan_id IS NOT NULL;

-- What a request is placed with. Kept only until the book has left: it names a reader.
CREATE TABLE placings (
    transaction_id VARCHAR NOT NULL PRIMARY KEY REFERENCES transactions (id),
    document BLOB NOT NULL
);

-- The lenders that did not supply, each asked once.
CREATE TABLE suppliers_tried (
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    host_lms VARCHAR NOT NULL,
    item_pid VARCHAR NOT NULL,
    mms_id VARCHAR,
    request_id VARCHAR,
    given_up_at DATETIME NOT NULL,
    PRIMARY KEY (transaction_id, host_lms, item_pid)
);

-- Libraries that a person has stopped, '' for everything; ended ones are kept. Asked in the very
-- statement that settles: nothing fires once the row of a pause is committed.
CREATE TABLE pauses (
    tenant VARCHAR NOT NULL,
    since DATETIME NOT NULL,
    actor VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    ended_at DATETIME,
    ended_by VARCHAR,
    end_reason VARCHAR,
    PRIMARY KEY (tenant, since)
);
CREATE UNIQUE INDEX pauses_standing ON pauses (tenant) WHERE ended_at IS NULL;

-- What the outside is told: one row for each event and sink, written with the event itself.
CREATE TABLE outbox (
    id VARCHAR NOT NULL PRIMARY KEY,
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    seq INTEGER NOT NULL,
    sink VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    body JSON NOT NULL,
    state VARCHAR NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at DATETIME NOT NULL,
    next_attempt_at DATETIME,
    delivered_at DATETIME,
    last_error VARCHAR,
    CONSTRAINT outbox_once_per_event UNIQUE (transaction_id, seq, sink),
    CONSTRAINT outbox_state_is_known CHECK (state IN ('pending', 'delivered', 'dead'))
);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';

-- How each library stands with us. `slots_until`: calls up to then are given away, in slices of
-- a second, so that all processes together keep to its calls per second. `missing`: the kinds of
-- things that are not found there while it is frozen. `sweep_at`: when its bibs are glanced at next.
CREATE TABLE tenants (
    code VARCHAR NOT NULL PRIMARY KEY,
    slots_until DATETIME,
    state VARCHAR NOT NULL,
    since DATETIME,
    reason VARCHAR NOT NULL DEFAULT '',
    resumes_at DATETIME,
    strikes INTEGER NOT NULL DEFAULT 0,
    remaining INTEGER,
    remaining_at DATETIME,
    missing VARCHAR NOT NULL DEFAULT '',
    sweep_at DATETIME,
    CONSTRAINT tenant_state_is_known CHECK (
        state IN ('open', 'throttled', 'short of quota', 'quota used up', 'outage', 'frozen')
    )
);

-- What the last glance at a bib showed, for each lend that waits for what a bib may show: a hint
-- where to look, never evidence.
CREATE TABLE marks (
    transaction_id VARCHAR NOT NULL REFERENCES transactions (id),
    role VARCHAR NOT NULL,
    host_lms VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    since DATETIME NOT NULL,
    glanced_at DATETIME NOT NULL,
    looked_at DATETIME,
    hinted_at DATETIME,
    vain INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (transaction_id, role),
    CONSTRAINT mark_role_is_known CHECK (role IN ('supplier', 'borrower', 'pickup'))
);
CREATE INDEX marks_of_library ON marks (host_lms);

-- How such hints have proved at a library, by the status that a step ends: the last verdicts.
CREATE TABLE hint_trust (
    host_lms VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    record VARCHAR NOT NULL DEFAULT '',
    off_until DATETIME,
    PRIMARY KEY (host_lms, status)
);

-- How often a library was called on one of its days: one row for each, kept.
CREATE TABLE calls (
    tenant VARCHAR NOT NULL,
    day DATE NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, day)
);

CREATE TRIGGER history_is_append_only BEFORE UPDATE ON history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;
