"""Who may buy what and see whose, over HTTP, with the real SDK against the sandbox."""

from tests.billing.plan_shop import PlanShop, buyer, on_plan, plan_grants, shop, start, subscribe
from tests.billing.shop import Buyer

__all__ = ["buyer", "shop"]  # the fixtures of a shop whose clock can be moved


def test_packages_for_subscribers_are_for_them(shop: PlanShop, buyer: Buyer) -> None:
    answer = buyer.browser.get("/packages/enterprise/buy")
    assert answer.status_code == 403
    assert "/pricing#plans" in answer.text
    subscribe(buyer, "free")
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 403
    on_plan(shop, buyer)
    assert buyer.browser.get("/packages/enterprise/buy").status_code == 200
    assert "/packages/enterprise/buy" in buyer.browser.get("/pricing").text


def test_who_is_suspended_buys_nothing(shop: PlanShop, buyer: Buyer) -> None:
    runner = shop.app.test_cli_runner()
    assert runner.invoke(args=["account", "suspend", buyer.browser.email, "--reason", "Chargebacks"]).exit_code == 0
    for path in ("/packages/starter/buy", "/plans/pro/subscribe", "/plans/free/subscribe"):
        answer = buyer.browser.get(path)
        assert answer.status_code == 403
        assert "suspended" in answer.text
    assert runner.invoke(args=["account", "resume", buyer.browser.email]).exit_code == 0
    assert buyer.browser.get("/packages/starter/buy").status_code == 200


def test_unknown_plans_and_other_people_s_orders_are_not_found(shop: PlanShop, buyer: Buyer) -> None:
    assert buyer.browser.get("/plans/nothing/subscribe").status_code == 404
    assert buyer.browser.get("/plan/change/nothing").status_code == 404
    session_id = start(buyer)
    other = shop.new_buyer()
    assert other.browser.get("/checkout/return", query_string={"session_id": session_id}).status_code == 404
    assert other.browser.get("/plan/cancelled/1").status_code == 404


def test_a_subscription_of_nobody_here_is_parked(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    stranger = shop.stripe.v1.customers.create({"email": "stranger@example.com"})
    card = shop.stripe.v1.payment_methods.attach("pm_card_visa", {"customer": stranger.id})
    price = shop.stripe.v1.subscriptions.retrieve(shop.subscription(buyer).stripe_subscription_id)["items"].data[0]
    known = {event["id"] for event in shop.every_event()}
    shop.stripe.v1.subscriptions.create(
        {"customer": stranger.id, "items": [{"price": price.price.id}], "default_payment_method": card.id}
    )
    events = [one for one in shop.every_event() if one["id"] not in known and one["type"].startswith("customer.sub")]
    shop.hear(events)
    assert {shop.event(event["id"]).state for event in events} == {"parked"}
    assert len(plan_grants(shop, buyer)) == 1


def test_the_portal_is_a_click_away(shop: PlanShop, buyer: Buyer) -> None:
    on_plan(shop, buyer)
    answer = buyer.browser.post("/plan/portal", {}, form="/plan")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(shop.sandbox_url)
