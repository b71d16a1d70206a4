"""The pay page's words in English, German and Arabic."""

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.stripe_sandbox.money import format_money

ENGLISH = {
    "band": "Sandbox: no real money moves here.",
    "title": "Pay %(merchant)s",
    "order": "Your order",
    "item": "Item",
    "quantity": "Quantity",
    "amount": "Amount",
    "total": "Total",
    "email": "E-mail",
    "paying_as": "Paying as",
    "outcome": "Choose what happens to the payment",
    "pay": "Pay %(total)s",
    "decline": "Decline the card",
    "delay": "Pay later, succeeds (%(method)s)",
    "fail_later": "Pay later, fails (%(method)s)",
    "cancel": "Cancel and go back",
    "hint": "A delayed payment leaves the order unpaid first; it is decided a few seconds later.",
    "declined": "Your card was declined.",
    "bad_email": "This is not an e-mail address.",
    "choose": "Choose one of the buttons.",
    "no_way_back": "The merchant gave no page to go back to. You can close this one.",
    "paid": "This order is already paid",
    "paid_text": "Nothing more will be taken.",
    "pending": "This payment is on its way",
    "pending_text": "The order is complete; the money has not arrived yet, or did not arrive.",
    "expired": "This page has expired",
    "expired_text": "Nothing was taken. Start the order again.",
    "gone": "There is no such page",
    "gone_text": "Check the address, or start the order again.",
    "way_on": "Back to the merchant",
    "receipt": "Receipt",
}
GERMAN = {
    "band": "Sandbox: Hier fließt kein echtes Geld.",
    "title": "%(merchant)s bezahlen",
    "order": "Ihre Bestellung",
    "item": "Artikel",
    "quantity": "Menge",
    "amount": "Betrag",
    "total": "Summe",
    "email": "E-Mail",
    "paying_as": "Bezahlt von",
    "outcome": "Was soll mit der Zahlung geschehen?",
    "pay": "%(total)s bezahlen",
    "decline": "Karte ablehnen",
    "delay": "Später zahlen, gelingt (%(method)s)",
    "fail_later": "Später zahlen, scheitert (%(method)s)",
    "cancel": "Abbrechen und zurück",
    "hint": "Eine verzögerte Zahlung bleibt erst offen; wenige Sekunden später wird sie entschieden.",
    "declined": "Ihre Karte wurde abgelehnt.",
    "bad_email": "Das ist keine E-Mail-Adresse.",
    "choose": "Bitte wählen Sie eine der Schaltflächen.",
    "no_way_back": "Der Händler nennt keine Seite für den Rückweg. Sie können diese schließen.",
    "paid": "Diese Bestellung ist schon bezahlt",
    "paid_text": "Es wird nichts weiter abgebucht.",
    "pending": "Diese Zahlung ist unterwegs",
    "pending_text": "Die Bestellung ist abgeschlossen; das Geld ist noch nicht oder nicht angekommen.",
    "expired": "Diese Seite ist abgelaufen",
    "expired_text": "Es wurde nichts abgebucht. Bitte bestellen Sie noch einmal.",
    "gone": "Diese Seite gibt es nicht",
    "gone_text": "Prüfen Sie die Adresse, oder bestellen Sie noch einmal.",
    "way_on": "Zurück zum Händler",
    "receipt": "Beleg",
}
ARABIC = {
    "band": "بيئة تجريبية: لا تُنقل هنا أموال حقيقية.",
    "title": "الدفع إلى %(merchant)s",
    "order": "طلبك",
    "item": "الصنف",
    "quantity": "الكمية",
    "amount": "المبلغ",
    "total": "المجموع",
    "email": "البريد الإلكتروني",
    "paying_as": "الدفع باسم",
    "outcome": "اختر ما يحدث للدفعة",
    "pay": "ادفع %(total)s",
    "decline": "ارفض البطاقة",
    "delay": "دفع مؤجل ينجح (%(method)s)",
    "fail_later": "دفع مؤجل يفشل (%(method)s)",
    "cancel": "إلغاء والعودة",
    "hint": "الدفع المؤجل يترك الطلب غير مدفوع أولاً، ثم يُحسم بعد ثوانٍ قليلة.",
    "declined": "رُفضت بطاقتك.",
    "bad_email": "هذا ليس عنوان بريد إلكتروني.",
    "choose": "اختر أحد الأزرار.",
    "no_way_back": "لم يحدد التاجر صفحة للعودة. يمكنك إغلاق هذه الصفحة.",
    "paid": "هذا الطلب مدفوع بالفعل",
    "paid_text": "لن يُسحب أي مبلغ آخر.",
    "pending": "هذه الدفعة في الطريق",
    "pending_text": "اكتمل الطلب، لكن المال لم يصل بعد أو لم يصل.",
    "expired": "انتهت صلاحية هذه الصفحة",
    "expired_text": "لم يُسحب أي مبلغ. ابدأ الطلب من جديد.",
    "gone": "لا توجد صفحة كهذه",
    "gone_text": "تحقق من العنوان أو ابدأ الطلب من جديد.",
    "way_on": "العودة إلى التاجر",
    "receipt": "إيصال",
}
LANGUAGES = {"en": ENGLISH, "de": GERMAN, "ar": ARABIC}


@dataclass(frozen=True)
class Texts:
    lang: str

    @property
    def dir(self) -> str:
        return "rtl" if self.lang == "ar" else "ltr"

    def __getitem__(self, key: str) -> str:
        return LANGUAGES[self.lang][key]

    def fill(self, key: str, **values: str) -> str:
        """Values are isolated: a price in Arabic text keeps its sign on its own side."""
        isolated = {name: f"\u2068{value}\u2069" for name, value in values.items()}
        return self[key] % (isolated if self.dir == "rtl" else values)

    def money(self, amount: int, currency: str) -> str:
        return format_money(amount, currency, german=self.lang == "de")


def choose_texts(asked: str | None, *, preferred: Iterable[str]) -> Texts:
    """The session's locale; with none, `auto` or one that is not here, the browser's; else English."""
    tags = [asked] if asked not in (None, "auto") else list(preferred)
    for tag in tags:
        lang = (tag or "").replace("_", "-").split("-")[0].lower()
        if lang in LANGUAGES:
            return Texts(lang)
    return Texts("en")
