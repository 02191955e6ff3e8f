-- What of an open checkout is still to leave the cart when it is settled: a removal during the checkout lowers it. Null
-- means everything that was ordered, which is also what a previous version of the service writes.
--
-- `attempts` counts how often the order service was asked again, `unusable_answers` how often it gave an answer that
-- says nothing about the order. Nobody asks again before `next_attempt_at`, except a user's own checkout after answers
-- that did not come.
alter table checkout_intents
    add column leaving_skus bigint[],
    add column leaving_counts integer[],
    add column attempts integer not null default 0,
    add column unusable_answers integer not null default 0,
    add column next_attempt_at timestamptz not null default now(),
    add check ((leaving_skus is null) = (leaving_counts is null)),
    add check (cardinality(leaving_skus) = cardinality(leaving_counts)),
    add check (0 <= attempts and 0 <= unusable_answers);
create index checkout_intents_next_attempt_at on checkout_intents (next_attempt_at);
