"""A payment that waits for an approval. Everything a person could read in it is sensitive: name, IBAN, amount, e-mail.

It touches each place where Temporal stores Payloads: input, result, signal, query, memo, summary, activity
input and result, and the message of a failure.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory

ACTIVITY_TIME = timedelta(seconds=30)


@dataclass(frozen=True)
class Payment:
    """What the payer ordered."""

    payer: str
    iban: str
    email: str
    amount: str


@dataclass(frozen=True)
class Approval:
    """Who let the payment pass, and why."""

    approver: str
    remark: str


@dataclass(frozen=True)
class Receipt:
    """What became of the payment."""

    booking: str
    amount: str
    approver: str
    receipt_mail: str


@activity.defn
async def book_payment(payment: Payment) -> str:
    """Move the money. The bank does not answer at the first attempt, as banks do."""
    if activity.info().attempt == 1:
        raise _expected_failure(f"The bank of {payment.iban} did not answer")
    return f"Booking of {payment.amount} from {payment.iban}"


@activity.defn
async def mail_receipt(payment: Payment) -> None:
    """Send the receipt. Fails for good: the mailbox is full."""
    raise _expected_failure(f"Mailbox of {payment.email} is full", non_retryable=True)


def _expected_failure(message: str, *, non_retryable: bool = False) -> ApplicationError:
    # Benign: the Worker does not log it, and with it the message in clear.
    return ApplicationError(message, non_retryable=non_retryable, category=ApplicationErrorCategory.BENIGN)


@workflow.defn
class PaymentWorkflow:
    """Waits for the signal `approve`, books the payment, mails a receipt. The query `progress` tells how far it is."""

    def __init__(self) -> None:
        self._progress = "started"
        self._approval: Approval | None = None

    @workflow.run
    async def run(self, payment: Payment) -> Receipt:
        self._progress = f"{payment.payer} waits for an approval"
        await workflow.wait_condition(lambda: self._approval is not None)
        assert self._approval is not None
        booking = await workflow.execute_activity(
            book_payment,
            payment,
            start_to_close_timeout=ACTIVITY_TIME,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
            summary=f"Book {payment.amount} for {payment.payer}",
        )
        receipt_mail = await self._mail_receipt(payment)
        self._progress = f"{payment.payer} has paid {payment.amount}"
        return Receipt(booking, payment.amount, self._approval.approver, receipt_mail)

    async def _mail_receipt(self, payment: Payment) -> str:
        try:
            await workflow.execute_activity(mail_receipt, payment, start_to_close_timeout=ACTIVITY_TIME)
        except ActivityError:
            return f"not delivered to {payment.email}"
        return f"sent to {payment.email}"

    @workflow.signal
    def approve(self, approval: Approval) -> None:
        """Let the payment pass. Further approvals change nothing."""
        self._approval = self._approval or approval

    @workflow.query
    def progress(self) -> str:
        """Tell how far the payment is."""
        return self._progress
