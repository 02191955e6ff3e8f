-- Old events are forgotten, the oldest first; their notifications go with them.

create index inbox_received_at on inbox (received_at);
