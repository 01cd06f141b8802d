import Foundation
import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@testable import MeshCLI

@Suite("Reasons beyond the rule") struct WhyReasonTests {
  private static let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)

  private static func ask(
    _ rules: [RouteRule], _ path: String = "/", problems: [Apus_V1_ManifestError] = []
  ) throws -> WhyAnswer {
    let caller = WhyAnswer.Caller(
      workload: "web-1", service: "web", namespace: "shop", identity: "spiffe://cluster.local/ns/shop/sa/web",
      address: "127.66.0.2", ready: true, connected: true, configuration: "SYNCED")
    var view = MeshView()
    view.services[port] = ServiceConfig(key: port, appProtocol: .http, rules: rules)
    return WhyReasoning.answer(
      try WhyRequest(url: "http://orders\(path)", headers: ["x-beta: yes"]), caller: caller, view: view,
      knownServices: [port.description], problems: problems, now: 0)
  }

  private static func rule(_ name: String, _ matches: RouteMatch...) -> RouteRule {
    RouteRule(name: name, matches: matches, backends: [WeightedBackend(backend: port, weight: 1)])
  }

  @Test("rules that match and come later are told, but for one that takes everything")
  func later() throws {
    let beta = Self.rule(
      "beta", RouteMatch(headers: [HeaderMatch(name: "x-beta", value: .exact("yes"))]))
    let rules = [
      Self.rule("api", RouteMatch(path: .prefix("/api"))), Self.rule("other", RouteMatch(path: .prefix("/o"))), beta,
      Self.rule("rest", RouteMatch(path: .prefix("/"))), Self.rule("everything"),
    ]
    let answer = try Self.ask(rules, "/api")
    #expect(answer.rule?.name == "api" && answer.alsoMatching == ["beta"])
    #expect(
      WhyText.render(answer, color: false).contains("later    beta matches, too, and ranks lower: paths go first"))
    #expect(try Self.ask(rules, "/x").alsoMatching == [])
  }

  @Test("a service without endpoints whose workloads serve another port, or miss its selector, says so")
  func misfits() throws {
    func problem(_ code: String, _ object: String, _ message: String) -> Apus_V1_ManifestError {
      .with {
        $0.code = code
        $0.object = object
        $0.message = message
        $0.fix = "mend it"
      }
    }
    let rules = [Self.rule("service/shop/orders")]
    let others = [
      problem("APUS0402", "Service shop/orders", "port 81 leads to 1, but the workload o has 2"),
      problem("APUS0402", "Service shop/other", "port 80 leads to 1, but the workload o has 2"),
      problem("APUS0401", "Service shop/orders", "port 80 is odd"),
    ]
    let none = try Self.ask(rules, problems: others).failures[0]
    #expect(none.reason == "orders.shop:80 has no endpoint: no workload runs for it")
    #expect(none.fix == "start one: apus run -n shop --service orders")
    for (code, text) in [("APUS0402", "port 80 leads to 8080, but the workload o has 8081"), ("APUS0403", "missed")] {
      let told = try Self.ask(rules, problems: others + [problem(code, "Service shop/orders", text)]).failures[0]
      #expect(told.reason == "orders.shop:80 has no endpoint: \(text)" && told.fix == "mend it")
    }
  }

  @Test("who is redirected waits for nobody: no times and repeats are told")
  func redirected() throws {
    var rule = Self.rule("r")
    rule.filters = [.redirect(RequestRedirect(status: 301))]
    let text = WhyText.render(try Self.ask([rule]), color: false)
    #expect(text.contains("reply    301") && !text.contains("retry") && !text.contains("timeout"))
  }

  // MARK: - Names of the DNS

  private static func states(_ text: String) throws -> BalancerStates {
    try JSONDecoder().decode(BalancerStates.self, from: Data(text.utf8))
  }

  private static func view(_ hosts: [String]) -> MeshView {
    var view = MeshView()
    view.endpoints[port] = EndpointSet(key: port, endpoints: [], names: NameResolution(hosts: hosts, port: 443))
    return view
  }

  @Test("addresses that proxies found by the DNS stand in the place of a name")
  func resolved() throws {
    let one = try Self.states(
      """
      {"workers": [
        {"backends": [{"backend": "orders.shop:80", "endpoints": [{"address": "10.0.0.2:443", "state": "ready"}]}]},
        {"backends": [{"backend": "orders.shop:80", "endpoints": [{"address": "10.0.0.2:443", "state": "ready"}]},
          {"backend": "other.shop:80", "endpoints": [{"address": "10.0.0.9:443", "state": "ready"}]}]}]}
      """)
    let two = try Self.states(
      """
      {"workers": [{"backends": [{"backend": "orders.shop:80", "endpoints": [
        {"address": "10.0.0.2:443", "state": "ejected"}, {"address": "10.0.0.1:443", "state": "ready"}]}]}]}
      """)
    var view = Self.view(["api.example.com"])
    let states = view.resolveNames([one, two])
    #expect(view.rows(Self.port).map(\.address) == ["10.0.0.1:443", "10.0.0.2:443"])
    #expect(view.rows(Self.port).map(\.workload) == ["api.example.com", "api.example.com"])
    #expect(states == ["10.0.0.1:443": "ready", "10.0.0.2:443": "ejected (by 1 of 2 proxies)"])
    let text = EndpointsReport(view, of: [Self.port], for: EndpointClients(states: states)).render()
    #expect(text.contains("by DNS") && text.contains("ejected (by 1 of 2 proxies)"))
  }

  @Test("of several hosts each has its own, and one can be asked for")
  func hosts() throws {
    let states = try Self.states(
      """
      {"workers": [{"backends": [{"backend": "orders.shop:80", "endpoints": []},
        {"backend": "orders.shop:80", "host": "a.example.com", "endpoints": [{"address": "10.0.0.1:443", "state": "ready"}]},
        {"backend": "orders.shop:80", "host": "b.example.com", "endpoints": [{"address": "10.0.0.2:443", "state": "ready"}]}]}]}
      """)
    var view = Self.view(["*.example.com"])
    _ = view.resolveNames([states])
    #expect(view.rows(Self.port).map(\.workload) == ["a.example.com", "b.example.com"])
    view = Self.view(["*.example.com"])
    _ = view.resolveNames([states], host: "b.example.com")
    #expect(view.rows(Self.port).map(\.address) == ["10.0.0.2:443"])
  }
}
