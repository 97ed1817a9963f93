"""
What the router's API is, for programs (/openapi.json) and for people (/docs).

    fields      the form's fields as JSON Schema; names and bounds are those of fleet.fields
    schemas     the bodies of answers as JSON Schema
    operations  every route with what it takes and gives: a new door adds its own here
    document    all of it as one OpenAPI 3.1 document
    page        that document as one HTML page

Each is a table or a plain function; what must not drift apart is compared by tests/router/description.
"""
