"""What Alma does with users, holds, loans, scans and records: rules over a tenant's rows."""
