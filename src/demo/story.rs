//! The story, as plain data: who is in the shop, who calls whom, how long it takes, what breaks.

use std::time::Duration;

/// The cluster that all pods run in.
pub(crate) const CLUSTER: &str = "shop-demo";
/// The namespace of all pods.
pub(crate) const NAMESPACE: &str = "shop";
/// The name that visitors know the shop by.
pub(crate) const AUTHORITY: &str = "shop.example.com";
/// The port that every service listens on.
pub(crate) const PORT: u16 = 8080;

/// A machine of the cluster.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) zone: &'static str,
    /// The third number of its pods' addresses.
    pub(crate) subnet: u8,
}

/// What a pod runs, and where.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) version: &'static str,
    pub(crate) node: &'static Node,
}

/// A service of the shop.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) language: &'static str,
    /// The last number of its virtual address.
    pub(crate) host: u8,
    /// One per pod.
    pub(crate) seats: &'static [Seat],
}

/// A latency, log-normal like real ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median: Duration,
    pub(crate) sigma: f64,
}

/// One call, and the calls that the callee makes to answer it, one after the other.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) to: &'static Service,
    pub(crate) method: &'static str,
    /// `{id}` stands for an item, in the path of the request.
    pub(crate) route: &'static str,
    /// How long the callee works itself.
    pub(crate) work: Latency,
    /// How often the caller's proxy tries again.
    pub(crate) retries: u8,
    /// What the callee writes to its log when all went well; see [`Call::sentence`].
    pub(crate) says: &'static str,
    pub(crate) then: &'static [Self],
}

/// What a visitor can do.
#[derive(Debug)]
pub(crate) struct Scene {
    /// How common it is by night, by day and in the evening.
    pub(crate) weights: [u32; 3],
    /// What the visitor's client appends to the path.
    pub(crate) query: &'static str,
    /// What the visitor's client sends as its authorization.
    pub(crate) authorization: &'static str,
    pub(crate) call: Call,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Payment 1.5.0 waits for its card processor in vain; its caller's proxy tries again.
    CardProcessor,
    /// A network policy drops what cart sends to catalog from one node.
    NetworkPolicy,
    /// Shipping has no free worker on one node.
    Saturation,
}

/// A part of the cycle that the story goes through.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) lasts: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 3] = [Self::CardProcessor, Self::NetworkPolicy, Self::Saturation];

    /// The name in summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CardProcessor => "card_processor",
            Self::NetworkPolicy => "network_policy",
            Self::Saturation => "saturation",
        }
    }
}

impl Call {
    /// What the callee writes to its log, about this item.
    pub(crate) fn sentence(&self, item: &str) -> String {
        self.says.replace("{item}", item)
    }

    /// The path of a request for this item.
    pub(crate) fn path(&self, item: &str) -> String {
        self.route.replace("{id}", item)
    }
}

const fn millis(median: u64, sigma: f64) -> Latency {
    Latency { median: Duration::from_millis(median), sigma }
}

/// The secrets that the story plants: none of them may be seen behind a gateway that redacts.
/// The card number is the one that processors publish for tests.
pub const SECRETS: [&str; 4] =
    [BEARER, "9f1c47d2ab8e4c0fa6d35b70", "mia.keller@example.com", "4111 1111 1111 1111"];

const BEARER: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtaWEiLCJzaG9wIjoiZGVtbyJ9.\
                      c2lnbmVkLWJ5LXRoZS1zdG9yeS1vbmx5LW5vdC1hLWtleQ";

pub(crate) static NODE_1: Node = Node { name: "node-1", zone: "zone-a", subnet: 1 };
pub(crate) static NODE_2: Node = Node { name: "node-2", zone: "zone-a", subnet: 2 };
pub(crate) static NODE_3: Node = Node { name: "node-3", zone: "zone-b", subnet: 3 };

/// The proxy in front of the shop. It has no application behind it.
pub(crate) static GATEWAY: Service = Service {
    name: "gateway",
    language: "cpp",
    host: 10,
    seats: &[Seat { version: "1.40.0", node: &NODE_1 }, Seat { version: "1.40.0", node: &NODE_3 }],
};

pub(crate) static STOREFRONT: Service = Service {
    name: "storefront",
    language: "nodejs",
    host: 11,
    seats: &[
        Seat { version: "3.8.1", node: &NODE_1 },
        Seat { version: "3.8.1", node: &NODE_2 },
        Seat { version: "3.8.1", node: &NODE_3 },
    ],
};

pub(crate) static CART: Service = Service {
    name: "cart",
    language: "go",
    host: 12,
    seats: &[
        Seat { version: "2.11.0", node: &NODE_1 },
        Seat { version: "2.11.0", node: &NODE_2 },
        Seat { version: "2.11.0", node: &NODE_3 },
    ],
};

pub(crate) static CATALOG: Service = Service {
    name: "catalog",
    language: "rust",
    host: 13,
    seats: &[Seat { version: "5.0.3", node: &NODE_1 }, Seat { version: "5.0.3", node: &NODE_2 }],
};

pub(crate) static CHECKOUT: Service = Service {
    name: "checkout",
    language: "java",
    host: 14,
    seats: &[Seat { version: "4.2.0", node: &NODE_1 }, Seat { version: "4.2.0", node: &NODE_3 }],
};

/// Both versions share a node, so that a version can be told from a node.
pub(crate) static PAYMENT: Service = Service {
    name: "payment",
    language: "java",
    host: 15,
    seats: &[
        Seat { version: "1.4.2", node: &NODE_1 },
        Seat { version: "1.4.2", node: &NODE_2 },
        Seat { version: "1.5.0", node: &NODE_2 },
        Seat { version: "1.5.0", node: &NODE_3 },
    ],
};

pub(crate) static SHIPPING: Service = Service {
    name: "shipping",
    language: "python",
    host: 16,
    seats: &[
        Seat { version: "0.9.4", node: &NODE_1 },
        Seat { version: "0.9.4", node: &NODE_2 },
        Seat { version: "0.9.4", node: &NODE_3 },
    ],
};

/// All that have pods.
pub(crate) static SERVICES: [&Service; 7] =
    [&GATEWAY, &STOREFRONT, &CART, &CATALOG, &CHECKOUT, &PAYMENT, &SHIPPING];

/// What visitors do.
pub(crate) static SCENES: [Scene; 4] = [
    Scene { weights: [50, 40, 35], query: "", authorization: "", call: BROWSE },
    Scene {
        weights: [25, 20, 15],
        query: "?q=lamp&token=9f1c47d2ab8e4c0fa6d35b70",
        authorization: "",
        call: SEARCH,
    },
    Scene { weights: [15, 18, 20], query: "", authorization: "", call: ADD },
    Scene { weights: [10, 22, 30], query: "", authorization: BEARER, call: BUY },
];

const BROWSE: Call = Call {
    to: &STOREFRONT,
    method: "GET",
    route: "/products/{id}",
    work: millis(9, 0.4),
    retries: 0,
    says: "Showed the page of product {item}.",
    then: &[Call {
        to: &CATALOG,
        method: "GET",
        route: "/items/{id}",
        work: millis(6, 0.5),
        retries: 0,
        says: "Read product {item} from the cache.",
        then: &[],
    }],
};

const SEARCH: Call = Call {
    to: &STOREFRONT,
    method: "GET",
    route: "/search",
    work: millis(12, 0.4),
    retries: 0,
    says: "Found 14 products that match the words of the visitor.",
    then: &[Call {
        to: &CATALOG,
        method: "GET",
        route: "/items",
        work: millis(28, 0.6),
        retries: 0,
        says: "Searched the catalog and ranked 14 products.",
        then: &[],
    }],
};

const ADD: Call = Call {
    to: &STOREFRONT,
    method: "POST",
    route: "/cart/items",
    work: millis(8, 0.4),
    retries: 0,
    says: "Put product {item} into the cart.",
    then: &[Call {
        to: &CART,
        method: "PUT",
        route: "/carts/{id}",
        work: millis(7, 0.4),
        retries: 0,
        says: "Stored the cart after checking the price of product {item}.",
        then: &[Call {
            to: &CATALOG,
            method: "GET",
            route: "/items/{id}",
            work: millis(6, 0.5),
            retries: 0,
            says: "Read product {item} from the cache.",
            then: &[],
        }],
    }],
};

const BUY: Call = Call {
    to: &STOREFRONT,
    method: "POST",
    route: "/checkout",
    work: millis(10, 0.4),
    retries: 0,
    says: "Sent the order confirmation to mia.keller@example.com.",
    then: &[Call {
        to: &CHECKOUT,
        method: "POST",
        route: "/orders",
        work: millis(18, 0.4),
        retries: 0,
        says: "Placed an order for product {item}.",
        then: &[READ_CART, CHARGE, QUOTE],
    }],
};

const READ_CART: Call = Call {
    to: &CART,
    method: "GET",
    route: "/carts/{id}",
    work: millis(5, 0.4),
    retries: 0,
    says: "Read the cart with product {item}.",
    then: &[],
};

const CHARGE: Call = Call {
    to: &PAYMENT,
    method: "POST",
    route: "/charges",
    work: millis(85, 0.35),
    retries: 1,
    says: "Charged card 4111 1111 1111 1111 for product {item}.",
    then: &[],
};

const QUOTE: Call = Call {
    to: &SHIPPING,
    method: "POST",
    route: "/quotes",
    work: millis(22, 0.5),
    retries: 0,
    says: "Quoted two days for product {item}.",
    then: &[],
};

/// How long payment 1.5.0 waits for its card processor before it gives up.
pub(crate) const CARD_WAIT: Latency = millis(900, 0.35);
/// How often payment 1.5.0 waits in vain while the fault lasts.
pub(crate) const CARD_SHARE: f64 = 0.7;
/// How long a proxy waits for one answer when it may try again.
pub(crate) const TRY_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a proxy waits for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a request waits for a worker of the saturated pod, at least and at most.
pub(crate) const QUEUE_WAIT: [Duration; 2] =
    [Duration::from_millis(2_000), Duration::from_millis(4_000)];
/// One way from one process to the next.
pub(crate) const WIRE: Latency = Latency { median: Duration::from_micros(350), sigma: 0.3 };

/// The cycle: each fault for a while, with calm around it.
pub(crate) static ACTS: [Act; 6] = [
    Act { lasts: Duration::from_secs(10), fault: None },
    Act { lasts: Duration::from_secs(20), fault: Some(Fault::CardProcessor) },
    Act { lasts: Duration::from_secs(10), fault: None },
    Act { lasts: Duration::from_secs(20), fault: Some(Fault::NetworkPolicy) },
    Act { lasts: Duration::from_secs(10), fault: None },
    Act { lasts: Duration::from_secs(20), fault: Some(Fault::Saturation) },
];

/// Which fault lasts at this time after the start.
pub(crate) fn fault_at(since: Duration) -> Option<Fault> {
    let cycle: Duration = ACTS.iter().map(|act| act.lasts).sum();
    let mut into = Duration::from_secs(since.as_secs() % cycle.as_secs().max(1));
    for act in &ACTS {
        if into < act.lasts {
            return act.fault;
        }
        into -= act.lasts;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cycle_goes_through_every_fault_and_begins_and_ends_in_turn() {
        let seen: Vec<_> = (0..91).map(|at| fault_at(Duration::from_secs(at))).collect();

        assert_eq!(seen.first(), Some(&None));
        assert_eq!(seen.get(89), Some(&Some(Fault::Saturation)));
        assert_eq!(seen.get(90), Some(&None));
        for fault in Fault::ALL {
            assert_eq!(seen.iter().filter(|at| **at == Some(fault)).count(), 20);
        }
    }
}
