"""The real KEK providers, started once for all tests of this folder."""

from tests.kms import hsm, hsm_keks, keks, kms, kms_keks, local_keks

__all__ = ["hsm", "hsm_keks", "keks", "kms", "kms_keks", "local_keks"]
