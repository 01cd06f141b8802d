import Foundation
import MeshCore
import MeshPolicy
import MeshResources
import Testing

@testable import MeshControl

/// Findings of a mesh, without those that a test is not about.
private func findings(
  _ manifests: String, workloads: [RegisteredWorkload] = [], live: Bool = true, except ignored: Set<FindingCode> = []
) -> [Finding] {
  MeshAnalysis.findings(MeshFixture.snapshot(manifests, workloads: workloads), isLive: live)
    .filter { !ignored.contains($0.code) }
}

private let served = [MeshFixture.workload("orders-1", service: "orders", host: 3)]
private let service = MeshFixture.service("orders", selector: "{app: orders}")

private func route(_ rules: String, parents: [String] = ["name: orders"]) -> String {
  service + MeshFixture.route("orders", parents: parents, rules: rules)
}

@Suite("Times that policies say") struct PolicyTimesTests {
  private func told(_ block: String, _ rules: String = "[{backendRefs: [{name: orders, port: 80}]}]") -> [String] {
    let policy = MeshFixture.policy("p", targets: ["group: \"\", kind: Service, name: orders"], block)
    return findings(route(rules) + policy, workloads: served).map { "\($0.code.rawValue) \($0.field): \($0.message)" }
  }

  @Test(
    "what contradicts itself has its code, at the field of the policy",
    arguments: [
      (
        "retries: {attempts: 1}\n  timeouts: {request: 1s, backendRequest: 1s}",
        "APUS0303 spec.timeouts.backendRequest: an attempt may take timeouts.backendRequest (1s of TrafficPolicy shop/p), "
          + "and the whole request timeouts.request (1s of TrafficPolicy shop/p): a slow one is never repeated"
      ),
      (
        "retries: {attempts: 3}\n  timeouts: {request: 1s, backendRequest: 400ms}",
        "APUS0304 spec.retries.attempts: 4 attempts with their waits take 1s675ms, the request has timeouts.request (1s of "
          + "TrafficPolicy shop/p)"
      ),
      (
        "retries: {attempts: 0, conditions: [reset]}",
        "APUS0305 spec.retries: names conditions, and attempts is 0"
      ),
      (
        "retries: {attempts: 1, budget: {percent: 0, minimumPerSecond: 0}}",
        "APUS0305 spec.retries.attempts: asks for repeats, and the retry budget admits none"
      ),
      (
        "hedging: {delay: 2s}\n  timeouts: {request: 2s}",
        "APUS0306 spec.hedging: a second attempt begins after 2s, when the first is over by timeouts.request (2s of "
          + "TrafficPolicy shop/p)"
      ),
      (
        "hedging: {percentile: 95}\n  retries: {budget: {percent: 0, minimumPerSecond: 0}}",
        "APUS0306 spec.hedging: a second attempt draws on the retry budget, which admits none"
      ),
      (
        "retries: {attempts: 1, maximumRetryAfter: 10s}\n  timeouts: {request: 5s}",
        "APUS0307 spec.retries.maximumRetryAfter: an answer may ask for a wait of 10s, and the request has "
          + "timeouts.request (5s of TrafficPolicy shop/p)"
      ),
      (
        "timeouts: {idle: 1h, stream: 10m}",
        "APUS0308 spec.timeouts.idle: timeouts.idle (1h of TrafficPolicy shop/p) is never reached: timeouts.stream (10m of "
          + "TrafficPolicy shop/p) ends all before"
      ),
    ])
  func contradictions(_ block: String, _ finding: String) { #expect(told(block) == [finding]) }

  @Test(
    "what fits together is not told",
    arguments: [
      "retries: {attempts: 2, maximumRetryAfter: 500ms}\n  timeouts: {request: 2s, backendRequest: 600ms}\n  hedging: {delay: 100ms}",
      "retries: {attempts: 0}", "timeouts: {idle: 1m, stream: 10m, request: 5m}",
      "retries: {budget: {percent: 0, minimumPerSecond: 0}}",
    ])
  func fitting(_ block: String) { #expect(told(block) == []) }

  @Test("a route that says the other half is named, and one that says its own time is not judged by the policy's")
  func routes() {
    let rules = "[{timeouts: {request: 1s}, backendRefs: [{name: orders, port: 80}]}]"
    #expect(
      told("hedging: {delay: 1s}", rules) == [
        "APUS0306 spec.hedging: a second attempt begins after 1s, when the first is over by timeouts.request (1s of the "
          + "rule httproute/shop/orders#0)"
      ])
    #expect(told("hedging: {delay: 500ms}\n  timeouts: {request: 100ms}", rules) == [])
  }
}

@Suite struct MeshAnalysisTests {
  @Test("a mesh without mistakes has no findings") func none() {
    let manifests = route("[{matches: [{path: {value: /a}}], backendRefs: [{name: orders, port: 80}]}]")
    #expect(findings(manifests, workloads: served) == [])
  }

  @Test(
    "each mistake has its code",
    arguments: [
      ("parentRefs", "name: order", "[{backendRefs: [{name: orders, port: 80}]}]", ["APUS0101", "APUS0105"]),
      (
        "parentRefs", "name: orders, port: 81", "[{backendRefs: [{name: orders, port: 80}]}]", ["APUS0102", "APUS0105"]
      ),
      ("backends", "name: orders", "[{backendRefs: [{name: order, port: 80}]}]", ["APUS0201"]),
      ("backends", "name: orders", "[{backendRefs: [{name: orders, port: 81}]}]", ["APUS0202"]),
      ("no backends", "name: orders", "[{}]", ["APUS0206"]),
      ("weights", "name: orders", "[{backendRefs: [{name: orders, port: 80, weight: 0}]}]", ["APUS0207"]),
      (
        "an attempt as long as the request", "name: orders",
        "[{timeouts: {request: 1s, backendRequest: 1s}, retry: {attempts: 1}, backendRefs: [{name: orders, port: 80}]}]",
        ["APUS0303"]
      ),
      (
        "attempts longer than the request", "name: orders",
        "[{timeouts: {request: 1s, backendRequest: 400ms}, retry: {attempts: 2}, backendRefs: [{name: orders, port: 80}]}]",
        ["APUS0304"]
      ),
      (
        "attempts that fit", "name: orders",
        "[{timeouts: {request: 1s, backendRequest: 300ms}, retry: {attempts: 2}, backendRefs: [{name: orders, port: 80}]}]",
        []
      ),
      (
        "waits longer than the request", "name: orders",
        "[{timeouts: {request: 1s}, retry: {attempts: 2, backoff: 600ms}, backendRefs: [{name: orders, port: 80}]}]",
        ["APUS0304"]
      ),
      (
        "retries that are off", "name: orders",
        "[{retry: {attempts: 0, codes: [503]}, backendRefs: [{name: orders, port: 80}]}]", ["APUS0305"]
      ),
    ])
  func codes(_ what: String, _ parent: String, _ rules: String, _ codes: [String]) {
    let found = findings(route(rules, parents: [parent]), workloads: served)
    #expect(found.map(\.code.rawValue) == codes, "\(what): \(found)")
    for finding in found {
      #expect(
        finding.object == "HTTPRoute shop/orders" && finding.position.line > 1 && finding.field.hasPrefix("spec."))
      #expect(finding.severity == finding.code.reference.severity)
    }
  }

  // MARK: - Shadows

  @Test(
    "a rule is shadowed when each of its matches is covered by one that goes before",
    arguments: [
      // The same match, the first by order.
      ("{path: {value: /a}}", "{path: {value: /a}}", true),
      ("{path: {value: /a/}}", "{path: {value: /a}}", true),
      ("{path: {value: /a}}", "{path: {value: /b}}", false),
      // More specific matches go first, whatever the order: nothing is hidden.
      ("{path: {value: /}}", "{path: {value: /a}}", false), ("{path: {value: /a}}", "{path: {value: /}}", false),
      ("{path: {type: Exact, value: /a}}", "{path: {value: /a}}", false),
      ("{headers: [{name: x, value: a}]}", "{headers: [{name: X, value: a}]}", true),
      ("{headers: [{name: x, value: a}]}", "{headers: [{name: x, value: b}]}", false),
      ("{headers: [{name: x, value: '[ab]', type: RegularExpression}]}", "{headers: [{name: x, value: b}]}", true),
      ("{headers: [{name: x, value: '[ab]', type: RegularExpression}]}", "{headers: [{name: x, value: c}]}", false),
      ("{queryParams: [{name: x, value: a}]}", "{queryParams: [{name: X, value: a}]}", false),
      ("{method: GET}", "{method: GET}", true), ("{method: GET}", "{method: PUT}", false),
      ("{path: {type: RegularExpression, value: '/[ab]'}}", "{path: {type: RegularExpression, value: '/[ab]'}}", true),
      // A longer prefix is not reached by the shorter one that needs more.
      ("{path: {value: /a}, method: GET}", "{path: {value: /a}, method: GET, headers: [{name: x, value: y}]}", false),
    ])
  func shadows(_ first: String, _ second: String, _ isShadowed: Bool) {
    let backend = "backendRefs: [{name: orders, port: 80}]"
    let found = findings(
      route("[{name: one, matches: [\(first)], \(backend)}, {matches: [\(second)], \(backend)}]"), workloads: served)
    #expect(found.map(\.code) == (isShadowed ? [.shadowedRule] : []), "\(found)")
    if let finding = found.first {
      #expect(finding.field == "spec.rules[1]" && finding.message.contains("rule 0 (one) of the same route"))
    }
  }

  @Test("a rule with one match left is not shadowed") func partly() {
    let backend = "backendRefs: [{name: orders, port: 80}]"
    let rules =
      "[{matches: [{path: {value: /a}}], \(backend)}, {matches: [{path: {value: /a}}, {path: {value: /b}}], \(backend)}]"
    #expect(findings(route(rules), workloads: served) == [])
  }

  @Test("a route may hide the rules of another that shares its parent, the older one first") func routes() {
    let rules = "[{backendRefs: [{name: orders, port: 80}]}]"
    let manifests =
      service + MeshFixture.route("aaa", created: "2024-02-01T00:00:00Z", rules: rules)
      + MeshFixture.route("old", created: "2024-01-01T00:00:00Z", rules: rules)
    let found = findings(manifests, workloads: served)
    #expect(found.map(\.code) == [.shadowedByRoute] && found[0].object == "HTTPRoute shop/aaa")
    #expect(found[0].message.contains("rule 0 of the HTTPRoute shop/old takes all"))
  }

  @Test("a rule that is hidden at one port of two is in force") func ports() {
    let twoPorts = MeshFixture.service(
      "orders", selector: "{app: orders}",
      ports: "[{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]")
    let rules = "[{backendRefs: [{name: orders, port: 80}]}]"
    let manifests =
      twoPorts + MeshFixture.route("a", parents: ["name: orders, port: 80"], rules: rules)
      + MeshFixture.route("b", rules: rules)
    #expect(findings(manifests, workloads: served) == [])
  }

  // MARK: - Endpoints

  @Test("a service that gets requests needs an endpoint; what no rule leads to needs none") func endpoints() {
    let split = MeshFixture.split("orders", "[{service: orders-v1, weight: 1}, {service: orders-v2, weight: 0}]")
    let found = findings(MeshFixture.orders + split, except: [])
    #expect(Set(found.map(\.code)) == [.noEndpoint])
    // The leaves themselves are services that clients may ask for.
    #expect(found.map(\.object).sorted() == ["Service shop/orders-v1", "Service shop/orders-v2"])
    #expect(found.contains { $0.message.contains("trafficsplit/shop/orders sends requests there") })
    #expect(findings(MeshFixture.orders + split, live: false) == [])
  }

  @Test("workloads that are not ready are told apart from none") func unready() {
    let workload = MeshFixture.workload("orders-1", service: "orders", host: 3, ready: false)
    let found = findings(service, workloads: [workload])
    #expect(found.map(\.code) == [.noReadyEndpoint] && found[0].message.contains("none of the 1 workloads"))
  }

  // MARK: - Namespaces

  @Test("a backend in another namespace without a grant is worth knowing") func grants() {
    let other = """
      ---
      apiVersion: v1
      kind: Service
      metadata: {name: mail, namespace: post}
      spec: {selector: {app: mail}, ports: [{port: 80}]}

      """
    func grant(_ to: String) -> String {
      """
      ---
      apiVersion: gateway.networking.k8s.io/v1beta1
      kind: ReferenceGrant
      metadata: {name: g, namespace: post}
      spec:
        from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
        to: [{group: "", kind: Service\(to)}]

      """
    }
    let manifests = other + route("[{backendRefs: [{name: mail, namespace: post, port: 80}]}]")
    func codes(_ more: String) -> [FindingCode] {
      findings(manifests + more, workloads: served, except: [.noEndpoint, .manifestWarning]).map(\.code)
    }
    #expect(codes("") == [.referenceNotGranted])
    #expect(codes(grant("")) == [] && codes(grant(", name: mail")) == [])
    #expect(codes(grant(", name: male")) == [.referenceNotGranted])
  }

  @Test("a consumer route is told, with what it stands in place of") func consumers() {
    let manifests =
      route("[{backendRefs: [{name: orders, port: 80}]}]")
      + MeshFixture.route(
        "own", namespace: "web", parents: ["name: orders, namespace: shop"],
        rules: "[{backendRefs: [{name: orders, namespace: shop, port: 80}]}]")
    let found = findings(manifests, workloads: served, except: [.referenceNotGranted])
    #expect(found.map(\.code) == [.consumerRoute] && found[0].severity == .info)
    #expect(found[0].message == "applies to clients in web only in the place of the HTTPRoute shop/orders")
  }

  @Test("of manifests alone, what is missing is a warning: it may come later") func offline() {
    let manifests = MeshFixture.route("orders", rules: "[{backendRefs: [{name: orders, port: 80}]}]")
    #expect(findings(manifests).allSatisfy { $0.severity == .error })
    let found = findings(manifests, live: false)
    #expect(found.map(\.code) == [.parentNotFound, .routeDetached, .backendNotFound])
    #expect(found.allSatisfy { $0.severity == .warning })
  }

  @Test("errors of manifests are findings, too") func manifests() {
    let result = ManifestParser.parse(file: "a.yaml", text: "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    let found = MeshAnalysis.findings(Snapshot(ManifestSet(problems: result.errors)), isLive: true)
    #expect(found.map(\.code) == [.manifestError] && found[0].severity == .error)
  }
}

@Suite struct FindingCodeTests {
  @Test("codes are unique, in order, and each is explained") func reference() {
    let codes = FindingCode.allCases
    #expect(Set(codes.map(\.rawValue)).count == codes.count)
    #expect(Set(codes.map(\.reference.title)).count == codes.count, "two codes have one explanation")
    for code in codes {
      #expect(code.rawValue.hasPrefix("APUS") && code.rawValue.count == 8)
      #expect(!code.reference.explanation.isEmpty && !code.reference.fix.isEmpty)
    }
  }

  @Test("docs/reference/findings.md is what the tool prints: apus analyze --explain all") func page() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
    let page = try String(contentsOf: root.appending(path: "docs/reference/findings.md"), encoding: .utf8)
    #expect(page == FindingCode.page)
  }
}
