"""An Alma written from the contract alone, by other hands than the bundled sandbox."""
