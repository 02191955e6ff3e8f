"""What schemathesis does on the way: a number like 4776.0 is whole by JSON Schema and none to the shop, and a body of blanks
is no JSON and as good as no body to the shop."""

import schemathesis


def whole(value):
    """The value with each float that is a whole number of 64 bits written as one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)


@schemathesis.hook
def filter_case(context, case):
    return not (isinstance(case.body, bytes) and case.body and not case.body.strip())
