"""`reconciler demo`: whole lends against the bundled sandbox, told as a timeline."""
