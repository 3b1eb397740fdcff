"""Alma over HTTP: the only importer of httpx and tenacity, and the only place that knows its
formats.

`gateway.py` makes a call under the limiter, breaker and quota of its library and gives the answer
or one typed failure; `reader.py` and `writer.py` say which calls there are; `document.py`,
`lists.py`, `marc.py` read JSON and XML alike. Nothing leaves but values of `core` and
`AlmaFailure`; no key, no name and no body is logged or kept in an error."""
