import MeshCore
import MeshHTTP
import MeshPolicy
import Testing

@testable import MeshCLI

@Suite struct WhyRequestTests {
  @Test(
    "a URL is read as a client would write it",
    arguments: [
      ("http://orders.shop/a?b=c#d", "orders.shop", "/a?b=c", 80), ("orders.shop:8080", "orders.shop:8080", "/", 80),
      ("https://orders", "orders", "/", 443), ("http://orders?x=1", "orders", "/?x=1", 80),
    ])
  func urls(_ url: String, _ authority: String, _ target: String, _ port: Int) throws {
    let request = try WhyRequest(url: url)
    #expect(request.authority == authority && request.target == target && request.defaultPort == port)
    #expect(request.method == "GET" && !request.isGRPC)
  }

  @Test(
    "what is no request is refused",
    arguments: [
      ("ftp://orders/", "GET", [String]()), ("http:///a", "GET", []), ("orders/a b", "GET", []), ("orders", "G T", []),
      ("orders", "GET", ["x"]), ("orders", "GET", [": v"]), ("orders", "GET", ["x: a\u{1}"]),
    ])
  func refused(_ url: String, _ method: String, _ headers: [String]) {
    #expect(throws: FlagFailure.self) { try WhyRequest(url: url, method: method, headers: headers) }
  }

  @Test("the head is what a proxy has when it looks for a rule") func head() throws {
    let head = try WhyRequest(
      url: "grpc://orders.shop/a.B/C",
      headers: ["X-A:  1 ", "x-apus-service: evil", "Host: other", "proxy-authorization: x"]
    ).head()
    #expect(head.method == .post && head.bytes(head.path).string == "/a.B/C")
    #expect(head.bytes(head.authority).string == "other")
    #expect(head.value(named: "x-a") == "1" && head.value(named: "content-type") == "application/grpc")
    #expect(head.value(.xApusService) == nil && head.value(.proxyAuthorization) == nil)
  }
}

@Suite struct WhyReasoningTests {
  private static func port(_ name: String) -> ServicePort {
    ServicePort(service: ServiceName(name: name, namespace: "shop"), port: 80)
  }

  private static let caller = WhyAnswer.Caller(
    workload: "web-1", service: "web", namespace: "shop", identity: "spiffe://cluster.local/ns/shop/sa/web",
    address: "127.66.0.2", ready: true, connected: true, configuration: "SYNCED")

  private static func endpoint(_ last: UInt32, zone: String? = nil) -> Endpoint {
    Endpoint(
      address: SocketAddress(ipv4: 0x7F42_0000 + last, port: 8080), workload: "w-\(last)", identity: nil,
      locality: Locality(zone: zone ?? ""))
  }

  private static func view(
    _ rules: [RouteRule], with backends: [String: [Endpoint]] = ["v1": [endpoint(7)]]
  ) -> MeshView {
    var view = MeshView()
    view.services[port("orders")] = ServiceConfig(key: port("orders"), appProtocol: .http, rules: rules)
    for (name, endpoints) in backends {
      view.endpoints[port(name)] = EndpointSet(key: port(name), endpoints: endpoints)
    }
    return view
  }

  private static func ask(
    _ url: String, _ view: MeshView, headers: [String] = [], method: String? = nil, grpc: Bool = false
  ) throws -> WhyAnswer {
    WhyReasoning.answer(
      try WhyRequest(url: url, method: method, headers: headers, isGRPC: grpc), caller: caller, view: view,
      sources: ["httproute/shop/orders": "routes.yaml:7"], states: ["127.66.0.7:8080": "ejected"],
      knownServices: ["orders.shop:80", "mail.shop:25"], now: 5_000)
  }

  private static func to(_ name: String, _ weight: UInt32 = 1, failure: UInt16? = nil) -> WeightedBackend {
    WeightedBackend(backend: port(name), weight: weight, failureStatus: failure)
  }

  @Test("a request goes by the first rule that matches to the endpoints of its backend") func delivered() throws {
    let rules = [
      RouteRule(
        name: "httproute/shop/orders#0", matches: [RouteMatch(method: "PUT"), RouteMatch(path: .exact("/x"))],
        backends: [Self.to("v2")]),
      RouteRule(
        name: "httproute/shop/orders#1", matches: [RouteMatch(path: .prefix("/"))], backends: [Self.to("v1")],
        timeouts: RouteTimeouts(request: .seconds(2)), retry: RetryPolicy(attempts: 1, statusCodes: [503]),
        rateLimits: [RateLimit(10, per: .seconds(1), burst: 20, key: .header("x-who"))],
        requestBody: RequestBodyPolicy(maximumBytes: 100, bufferBytes: 9),
        overrides: OverridePolicy(kinds: [.timeout, .retries], callers: ["shop/web"])),
    ]
    let answer = try Self.ask("http://orders/a", Self.view(rules, with: ["v1": [Self.endpoint(7, zone: "a")]]))
    #expect(answer.delivered && answer.failures.isEmpty)
    #expect(answer.service?.name == "orders" && answer.service?.rules == 2)
    #expect(answer.passedOver.map(\.rule) == ["httproute/shop/orders#0"])
    #expect(
      answer.passedOver[0].reasons == ["wants method PUT, the request has GET", "wants path = /x"])
    #expect(answer.rule?.source == "routes.yaml:7" && answer.rule?.match == 0)
    #expect(answer.rule?.timeouts.requestMs == 2_000 && answer.rule?.timeouts.backendRequestMs == nil)
    #expect(answer.rule?.retry?.attempts == 1 && answer.backends[0].retryBudget?.percent == 20)
    #expect(
      answer.rule?.rateLimits == [
        "10 requests of each x-who in 1 s, bursts of 20, by each proxy; more are answered 429"
      ])
    let row = try #require(answer.backends.first?.endpoints.first)
    #expect(row.zone == "a" && row.state == "ejected" && row.ready)
    let text = WhyText.render(answer, color: false)
    #expect(text.contains("not      httproute/shop/orders#0: wants method PUT, the request has GET (and 1 more)\n"))
    #expect(
      text.contains(
        "content  content past 100 bytes is answered 413; content of up to 9 bytes is held until all of it is there\n"))
    #expect(text.contains("except   requests of shop/web may say x-apus-timeout, x-apus-retries\n"))
    #expect(text.contains("backend  100 %  v1.shop:80\n") && text.hasSuffix("✔ delivered\n"))
  }

  @Test("a share that fails makes the whole answer a failure, with its part") func shares() throws {
    let rule = RouteRule(
      name: "httproute/shop/orders#0",
      backends: [Self.to("v1", 3), Self.to("gone", 1, failure: 500), Self.to("off", 0)])
    let answer = try Self.ask("http://orders/", Self.view([rule]))
    #expect(!answer.delivered && answer.failures.map(\.status) == [500] && answer.failures[0].share == 0.25)
    #expect(answer.backends.map(\.share) == [0.75, 0.25, 0])
    #expect(
      WhyText.render(answer, color: false).contains(
        "✘ 25 % of such requests fail: the backend gone.shop:80 cannot serve: the mesh knows no service gone.shop"))
  }

  @Test("the policy that decides is told, and what would have to change") func authorization() throws {
    let rule = RouteRule(name: "service/shop/orders", backends: [Self.to("v1")])
    func answer(_ authorization: Authorization, grpc: Bool = false, _ target: String = "/") throws -> WhyAnswer {
      var view = Self.view([rule], with: ["v1": [Self.endpoint(7), Self.endpoint(8)]])
      view.authorizations[Self.port("v1")] = [
        EndpointAuthorization(endpoints: ["127.66.0.7:8080"], authorization: authorization)
      ]
      return try Self.ask("http://orders\(target)", view, grpc: grpc)
    }
    func policy(_ action: AuthorizationAction, _ rules: AuthorizationRule...) -> AuthorizationPolicy {
      AuthorizationPolicy(name: "shop/p", action: action, rules: rules)
    }
    let web = AuthorizationRule(sources: [AuthorizationSource(serviceAccounts: Selection(["shop/web"]))])
    let mail = AuthorizationRule(sources: [AuthorizationSource(serviceAccounts: Selection(["shop/mail"]))])
    let admin = AuthorizationRule(operations: [AuthorizationOperation(paths: Selection([.prefix("/admin")]))])
    let allowed = try answer(Authorization(policies: [policy(.allow, web)]))
    #expect(allowed.delivered)
    #expect(allowed.backends[0].authorization == ["allowed by the allow policy shop/p, by 1 of 2 endpoints"])

    let none = try answer(Authorization(policies: [policy(.allow, mail)]), grpc: true)
    #expect(none.failures.map(\.share) == [0.5] && none.failures[0].status == 403 && none.failures[0].grpcStatus == 7)
    #expect(none.failures[0].reason == "denied, as no allow policy matches: not shop/p rule 1 (by from)")
    #expect(none.failures[0].fix?.contains("serviceAccounts: [shop/web]") == true)

    let denied = try answer(Authorization(policies: [policy(.deny, mail, admin)]), "/%61dmin/x")
    #expect(denied.failures.map(\.reason) == ["denied by the deny policy shop/p, rule 2"])
    let mode = try answer(Authorization(mode: .deny, modeSource: "shop/m"))
    #expect(mode.failures.map(\.reason) == ["denied by defaultMode: deny of shop/m"])
    let path = try answer(Authorization(policies: [policy(.deny, admin)]), "/a;b")
    #expect(path.failures.map(\.status) == [400] && path.failures[0].reason.contains("(semicolon)"))
    let asked = try answer(Authorization(policies: [policy(.custom(provider: "opa"), web)]))
    #expect(
      asked.delivered
        && asked.backends[0].authorization[0].hasPrefix("decided by the provider that the custom policy shop/p asks"))
  }

  @Test("what no endpoint can take is answered 503, and the answer tells of those that are not ready") func endpoints()
    throws
  {
    let rule = RouteRule(name: "service/shop/orders", backends: [Self.to("v1")])
    var view = Self.view([rule], with: ["v1": []])
    #expect(try Self.ask("http://orders/", view).failures[0].reason.contains("has no endpoint"))
    view.unready[Self.port("v1")] = [Self.endpoint(9)]
    let answer = try Self.ask("http://orders/", view, grpc: true)
    #expect(answer.failures[0].reason.contains("1 is not ready") && answer.failures[0].grpcStatus == 14)
    #expect(answer.backends[0].endpoints.map(\.ready) == [false])
  }

  @Test("faults that such requests of the caller meet are told, and those that keep them from a backend are failures")
  func faults() throws {
    let faults = [
      FaultPolicy(name: "shop/slow", millionths: 500_000, delay: .fixed(.seconds(2))),
      FaultPolicy(
        name: "shop/down", millionths: 100_000, abort: FaultAbort(status: 503, grpcStatusName: "UNAVAILABLE")),
      FaultPolicy(name: "shop/ended", isReset: true, schedule: FaultSchedule(end: 4_000)),
      FaultPolicy(name: "shop/others", clients: ["pay/api"], isReset: true),
      FaultPolicy(name: "shop/elsewhere", match: RouteMatch(path: .exact("/x")), isReset: true),
    ]
    let view = Self.view([RouteRule(name: "service/shop/orders", backends: [Self.to("v1")], faults: faults)])
    let answer = try Self.ask("http://orders/a", view)
    #expect(answer.rule?.faults.map(\.name) == ["shop/slow", "shop/down", "shop/ended"])
    #expect(answer.rule?.faults.map(\.state) == ["active", "active", "ended"])
    #expect(answer.failures.map(\.status) == [503] && answer.failures[0].share == 0.1 && !answer.delivered)
    let text = WhyText.render(answer, color: false)
    #expect(text.contains("fault    50 %  delayed by 2 s  by shop/slow\n"))
    #expect(text.contains("100 %  reset  by shop/ended  (ended)\n"))
    #expect(
      text.contains("✘ 10 % of such requests fail: the FaultInjection shop/down makes such requests fail on purpose"))
    let call = try Self.ask("http://orders/a", view, grpc: true)
    #expect(call.failures.map(\.grpcStatus) == [14])
    #expect(try Self.ask("http://orders/x", view).failures.map(\.status).contains(0))
  }

  @Test("a TLS connection goes by the name that it asks for") func serverNames() throws {
    let rules = [
      RouteRule(name: "tlsroute/shop/a#0", serverNames: ["*.shop"], backends: [Self.to("v1")]),
      RouteRule(name: "tlsroute/shop/b#0", serverNames: ["orders"], backends: [Self.to("v2")]),
    ]
    var view = Self.view([], with: ["v1": [Self.endpoint(7)]])
    let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 443)
    view.services[port] = ServiceConfig(key: port, appProtocol: .tcp, rules: rules)
    let answer = try Self.ask("https://Orders.shop/", view)
    #expect(answer.rule?.name == "tlsroute/shop/a#0" && answer.delivered)
    #expect(WhyText.render(answer, color: false).contains("match    server name *.shop\n"))
    #expect(try Self.ask("https://orders/", view).rule?.name == "tlsroute/shop/b#0")
    let lost = try Self.ask("https://orders.shop.svc.cluster.local/", view)
    #expect(lost.rule == nil && lost.failures.map(\.status) == [0])
    #expect(WhyText.render(lost, color: false).contains("takes connections for orders.shop.svc.cluster.local (reset)"))
  }

  @Test(
    "failures before the backend",
    arguments: [
      ("http://orders:81/", 404, "has no port 81", "its ports: 80"),
      ("http://order.shop/", 404, "knows no service", "orders.shop"),
      ("http://orders/none", 404, "none of the 2 rules", ""), ("http://orders/broken", 500, "no backend", ""),
    ])
  func failures(_ url: String, _ status: UInt16, _ reason: String, _ fix: String) throws {
    let rules = [
      RouteRule(name: "a", matches: [RouteMatch(path: .exact("/broken"))], backends: [], failureStatus: 500),
      RouteRule(name: "b", matches: [RouteMatch(path: .exact("/b"))], backends: [Self.to("v1")]),
    ]
    let answer = try Self.ask(url, Self.view(rules))
    #expect(!answer.delivered && answer.failures[0].status == status && answer.failures[0].share == 1)
    #expect(answer.failures[0].reason.contains(reason), "\(answer.failures)")
    #expect(answer.failures[0].fix?.contains(fix) == true, "\(answer.failures)")
  }

  @Test("redirects and preflights are answered without a backend") func replies() throws {
    let redirect = RouteRule(
      name: "a", matches: [RouteMatch(path: .prefix("/old"))],
      filters: [.redirect(RequestRedirect(path: .prefix(matched: "/old", replacement: "/new"), status: 301))],
      backends: [])
    let cors = RouteRule(
      name: "b", filters: [.cors(CORSPolicy(allowOrigins: ["https://a.example"]))], backends: [Self.to("v1")])
    let answer = try Self.ask("http://orders/old/x?q", Self.view([redirect, cors]))
    #expect(answer.delivered && answer.reply?.status == 301 && answer.reply?.location == "http://orders/new/x?q")
    let preflight = try Self.ask(
      "http://orders/", Self.view([redirect, cors]),
      headers: ["origin: https://a.example", "access-control-request-method: PUT"], method: "OPTIONS")
    #expect(preflight.reply?.status == 204 && preflight.reply?.reason.contains("is allowed") == true)
  }

  @Test("says what the backend is asked after the filters of the rule and its own") func rewrite() throws {
    var backend = Self.to("v1")
    backend.filters = [.rewrite(URLRewrite(hostname: "inner.example"))]
    let rule = RouteRule(
      name: "a", matches: [RouteMatch(path: .prefix("/shop"))],
      filters: [
        .rewrite(URLRewrite(path: .prefix(matched: "/shop", replacement: "/api"))),
        .mirror(RequestMirror(backend: Self.port("v2"), numerator: 1, denominator: 4)),
      ], backends: [backend])
    let answer = try Self.ask("http://orders/shop/list", Self.view([rule]))
    #expect(answer.backends[0].sees == "GET /api/list, Host inner.example")
    #expect(answer.mirrors.map(\.share) == [0.25])
  }

  @Test("bytes of a tunnel and addresses have no rule of their own") func others() throws {
    let rules = [
      RouteRule(name: "a", matches: [RouteMatch(path: .exact("/b"))], backends: [Self.to("gone")]),
      RouteRule(name: "b", backends: [Self.to("v1")]),
    ]
    var view = Self.view(rules)
    view.services[ServicePort(service: Self.port("orders").service, port: 443)] = view.services[Self.port("orders")]
    #expect(try Self.ask("https://orders/b", view).rule?.name == "b")
    let address = try Self.ask("http://192.0.2.1/", view)
    #expect(address.delivered && address.service == nil && address.notes.contains { $0.contains("no rule applies") })
  }
}

@Suite struct RulesReportTests {
  @Test("rules stand in order with matches, shares and what is wrong with backends") func render() {
    let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    let other = ServicePort(service: ServiceName(name: "v2", namespace: "shop"), port: 80)
    var view = MeshView()
    view.services[port] = ServiceConfig(
      key: port, appProtocol: .http,
      rules: [
        RouteRule(
          name: "httproute/shop/orders#a",
          matches: [
            RouteMatch(path: .prefix("/a"), headers: [HeaderMatch(name: "x", value: .regularExpression("[ab]"))])
          ],
          backends: [
            WeightedBackend(backend: port, weight: 2), WeightedBackend(backend: other, weight: 1, failureStatus: 500),
          ],
          timeouts: RouteTimeouts(request: .milliseconds(1500)), retry: RetryPolicy(attempts: 2, statusCodes: []))
      ])
    view.consumers[port] = ["billing"]
    let text = RulesReport(view, sources: ["httproute/shop/orders": "r.yaml:1"]).render()
    #expect(text.hasPrefix("orders.shop:80 (http); clients in billing have rules of their own\n"))
    #expect(text.contains("path /a, /a/*, header x ~ [ab]"))
    #expect(text.contains("66.7 % orders.shop:80 (no endpoint), 33.3 % v2.shop:80 (answers 500)"))
    #expect(text.contains("timeout 1500 ms; retries 2") && text.contains("r.yaml:1"))
  }

  @Test("endpoints that are not ready stand beside those that are") func endpoints() {
    let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    func endpoint(_ port: UInt16) -> Endpoint {
      Endpoint(
        address: .loopback(port: port), workload: "w-\(port)",
        identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "w"))
    }
    var view = MeshView()
    view.endpoints[port] = EndpointSet(key: port, endpoints: [endpoint(1)])
    view.unready[port] = [endpoint(2)]
    let report = EndpointsReport(view, of: [port])
    #expect(report.ports[0].endpoints.map(\.ready) == [true, false])
    let lines = report.render().split(separator: "\n")
    #expect(lines.count == 3 && lines[2].contains("127.0.0.1:2  w-2       no"))
    #expect(EndpointsReport(view, of: []).render() == "no services\n")
  }

  @Test("zones, subsets and the shares that they make are told for the clients of one zone") func zones() {
    let port = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
    let endpoints = [("a", "v1"), ("a", "v2"), ("b", "v1")].enumerated().map { index, place in
      Endpoint(
        address: .loopback(port: UInt16(index + 1)), workload: "w", identity: nil,
        labels: ["version": place.1, Locality.zoneLabel: place.0, "app": "orders"], locality: Locality(zone: place.0))
    }
    let balancing = BalancingPolicy(
      locality: LocalityPolicy(), subset: SubsetPolicy(header: "x-version", label: "version"))
    var view = MeshView()
    view.endpoints[port] = EndpointSet(
      key: port, endpoints: endpoints, policy: BackendPolicy(balancing: balancing))
    let report = EndpointsReport(view, of: [port], for: Locality(zone: "a"))
    let rows = report.ports[0].endpoints
    #expect(rows.map(\.share) == [0.5, 0.5, 0] && rows.map(\.priority) == [0, 0, 2])
    #expect(rows.map(\.subset) == ["v1", "v2", "v1"])
    let lines = report.render().split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    #expect(
      lines[0] == "SERVICE ADDRESS WORKLOAD READY ZONE WEIGHT SUBSET PRIORITY SHARE IDENTITY LABELS")
    #expect(
      lines[1] == "orders.shop:80 127.0.0.1:1 w yes a 1 v1 0 50 % plaintext app=orders,version=v1")
    // Without a zone none is preferred.
    let shares = EndpointsReport(view, of: [port]).ports[0].endpoints.map(\.share)
    #expect(shares.allSatisfy { abs(($0 ?? 0) - 1.0 / 3) < 0.001 })
  }
}
