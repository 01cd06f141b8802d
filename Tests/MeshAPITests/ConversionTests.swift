import MeshAPI
import MeshCore
import MeshPolicy
import SwiftProtobuf
import Testing

@Suite struct ConversionTests {
  static let key = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)
  static let v2 = ServicePort(service: ServiceName(name: "orders-v2", namespace: "shop"), port: 80)

  static let service = ServiceConfig(
    key: key, appProtocol: .http,
    rules: [
      RouteRule(
        name: "httproute/shop/orders#0",
        matches: [
          RouteMatch(
            path: .prefix("/a"), method: "GET",
            headers: [
              HeaderMatch(name: "x-user", value: .exact("")),
              HeaderMatch(name: "x-beta", value: .regularExpression("a+")),
            ],
            queryParameters: [
              QueryMatch(name: "Animal", value: .exact("")), QueryMatch(name: "b", value: .regularExpression("c|d")),
            ]),
          RouteMatch(path: .exact("/x")),
          RouteMatch(path: .regularExpression("/[0-9]+")),
        ],
        filters: [
          .headers(
            HeaderFilter(
              direction: .response, set: [HeaderPair(name: "X-A", value: "1")],
              add: [HeaderPair(name: "b", value: "")], remove: ["c"])),
          .rewrite(URLRewrite(hostname: "orders.example", path: .prefix(matched: "/a", replacement: ""))),
          .mirror(RequestMirror(backend: v2, numerator: 1, denominator: 3)),
          .cors(
            CORSPolicy(
              allowOrigins: ["https://*.example"], allowCredentials: true, allowMethods: ["GET"],
              allowHeaders: ["x-a"], exposeHeaders: ["x-b"], maxAge: 60)),
        ],
        backends: [
          WeightedBackend(backend: key, weight: 90, filters: [.rewrite(URLRewrite(path: .full("/b")))]),
          WeightedBackend(backend: v2, weight: 10, failureStatus: 500),
        ],
        timeouts: RouteTimeouts(
          request: .seconds(10), backendRequest: .milliseconds(2), idle: .seconds(3), stream: .seconds(40)),
        retry: RetryPolicy(
          attempts: 2, statusCodes: [500, 503], grpcStatuses: [.cancelled, .unavailable],
          failures: [.reset, .connectFailure], backoff: .milliseconds(5), maximumRetryAfter: .zero),
        hedging: HedgingPolicy(.quantile(9_950), allMethods: true),
        session: SessionPolicy(
          .cookie(.init(name: "sid", path: "/a", isPermanent: true)), absoluteTimeout: .seconds(60),
          idleTimeout: .seconds(5), key: SipKey(1 << 63, 2)),
        rateLimits: [
          RateLimit(9, per: .milliseconds(1_500), burst: 3), RateLimit(1, per: .seconds(1), key: .caller),
          RateLimit(2, per: .seconds(60), key: .header("x-tenant")),
        ],
        globalRateLimit: GlobalRateLimit(
          service: v2, domain: "d",
          descriptors: [
            [.init(key: "a", value: .constant("b")), .init(key: "c", value: .header("x-d"))],
            [GlobalRateLimit.Entry.Value.caller, .remoteAddress, .service, .route, .method, .path].map {
              .init(key: "e", value: $0)
            },
          ], hits: 7, timeout: .milliseconds(9), failure: .local(RateLimit(3, per: .seconds(2)))),
        requestBody: RequestBodyPolicy(maximumBytes: 1 << 40),
        overrides: OverridePolicy(kinds: [.attemptTimeout, .retries], callers: ["a/b", "c/d"]),
        faults: [
          FaultPolicy(
            name: "shop/all", match: RouteMatch(path: .prefix("/a"), method: "GET"), clients: ["shop/web"],
            millionths: 5_000,
            delay: FaultDelay(points: [
              .init(quantile: 500_000, delay: .microseconds(1)), .init(quantile: 999_000, delay: .seconds(3)),
            ]),
            abort: FaultAbort(status: 503, grpcStatusName: "ABORTED"), isReset: true, requestRate: 1,
            responseRate: 1 << 40,
            truncateAfter: 0, corruptMillionths: 1,
            schedule: FaultSchedule(start: 5, end: 9, windows: .init(period: 3, length: 2))),
          FaultPolicy(name: "shop/none", millionths: 0, abort: FaultAbort(grpcStatusName: "INTERNAL")),
        ]),
      RouteRule(
        name: "moved",
        filters: [
          .redirect(
            RequestRedirect(scheme: "https", hostname: "orders.example", path: .full("/"), port: 8443, status: 308))
        ],
        backends: []),
      RouteRule(
        name: "tls", serverNames: ["a.example", "*.b.example", "*"], backends: [WeightedBackend(backend: v2, weight: 1)]
      ),
      RouteRule(
        name: "sessions", backends: [WeightedBackend(backend: v2, weight: 1)], timeouts: RouteTimeouts(idle: .zero),
        hedging: HedgingPolicy(.fixed(.milliseconds(7))),
        session: SessionPolicy(.header("x-session"), key: SipKey(0, .max))),
      RouteRule(name: "broken", backends: [], failureStatus: 500),
    ])

  static let endpoints = EndpointSet(
    key: key,
    endpoints: [
      Endpoint(
        address: SocketAddress(ipv4: 0x7F42_0003, port: 8080), workload: "orders-abcde",
        identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders"),
        labels: ["version": "v1"], locality: Locality(region: "west", zone: "west-1")),
      Endpoint(address: SocketAddress(ipv4: 0x0A00_0001, port: 80), workload: "", identity: nil, meshPort: 0),
    ], appProtocol: .grpc)

  static let authorization = Authorization(
    mode: .deny, modeSource: "shop/m",
    policies: [
      AuthorizationPolicy(name: "shop/a", action: .allow, rules: []),
      AuthorizationPolicy(name: "shop/b", action: .custom(provider: "opa"), rules: [AuthorizationRule()]),
      AuthorizationPolicy(
        name: "shop/c", action: .audit,
        rules: [
          AuthorizationRule(
            sources: [
              AuthorizationSource(
                principals: Selection(["**"], not: ["x"]), namespaces: Selection(["n"]),
                serviceAccounts: Selection(not: ["n/a"]), trustDomains: Selection(["t"]),
                addresses: Selection([AddressBlock("10.0.0.0/8")].compactMap(\.self)))
            ],
            operations: [
              AuthorizationOperation(
                methods: Selection(["GET"]), hosts: Selection(["*.a"], not: ["b.a"]),
                paths: Selection([.exact("/a"), .prefix("/b"), .glob("/c*")], not: [.template("/{d}")]))
            ],
            conditions: [
              AuthorizationCondition(.header("x"), Selection(["1"])),
              AuthorizationCondition(.claim("y"), Selection(not: ["2"])),
            ])
        ]), AuthorizationPolicy(name: "shop/d", action: .deny, rules: []),
      AuthorizationPolicy(
        name: "shop/e", action: .custom(provider: "grpc"),
        rules: [
          AuthorizationRule(
            operations: [AuthorizationOperation(paths: Selection([.regularExpression("(/a).*")]))],
            conditions: [AuthorizationCondition(.headerPattern("x-cohort"), Selection(["a|b"], not: ["c+"]))])
        ],
        authorizer: ExternalAuthorizer(
          service: key, wire: .grpc(.init(context: [.init(key: "k", value: "")])), timeout: .milliseconds(7),
          failure: .allow, fields: [], content: .init(maximumBytes: 9, allowsPart: true, isRaw: true))),
      AuthorizationPolicy(
        name: "shop/f", action: .custom(provider: "http"), rules: [],
        authorizer: ExternalAuthorizer(
          service: key,
          wire: .http(
            .init(pathPrefix: "/check", requestFields: ["x-user"], responseFields: ["set-cookie"], denialFields: [])),
          failure: .deny(status: 503), fields: ["cookie"], content: .init(maximumBytes: 1))),
    ])

  static let workload = WorkloadConfig(
    name: "orders-abcde", namespace: "shop",
    identity: SPIFFEID(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "orders"),
    ports: [
      InboundPort(
        port: 8080, appProtocol: .grpc, service: key,
        globalRateLimit: GlobalRateLimit(service: v2, domain: "e", descriptors: [], failure: .deny),
        requestBody: RequestBodyPolicy(maximumBytes: 9, bufferBytes: 4),
        adaptiveConcurrency: AdaptiveConcurrency(
          minimum: 2, maximum: 9, interval: .milliseconds(10), probeInterval: .seconds(9), tolerancePercent: 7),
        compression: CompressionPolicy(contentTypes: ["a/b", "text/*"], minimumBytes: 0, level: 9),
        longestIdle: .seconds(5)),
      InboundPort(port: 9, appProtocol: .tcp, service: nil, longestIdle: .zero),
      InboundPort(port: 10, appProtocol: .tcp, service: nil, authorization: Authorization(mode: .meshOnly)),
      InboundPort(port: 11, appProtocol: .http, service: nil, authorization: authorization),
    ], locality: Locality(region: "west", zone: "west-2"))

  static let all: [MeshResource] = [
    .service(service), .endpoints(endpoints), .workload(workload),
    .trust(
      TrustBundle(
        trustDomain: "cluster.local", anchorsPEM: "-----BEGIN CERTIFICATE-----\nAA==\n",
        crls: ["-----BEGIN X509 CRL-----\nAA==\n"],
        deniedIdentities: ["spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/api"],
        deniedSerials: ["0fa2", "4711"], signer: "00ff")),
  ]

  @Test("every resource comes back equal from the wire", arguments: all)
  func roundTrip(resource: MeshResource) throws {
    let bytes: [UInt8] = try Apus_V1_Resource(resource).serializedBytes()
    #expect(try MeshResource(Apus_V1_Resource(serializedBytes: bytes)) == resource)
  }

  /// What `change` makes of a valid resource's message, as the error's text.
  private func rejection(
    of resource: MeshResource, limits: ConversionLimits = .standard, _ change: (inout Apus_V1_Resource) -> Void
  ) -> String? {
    var message = Apus_V1_Resource(resource)
    change(&message)
    do throws(ConversionError) {
      _ = try MeshResource(message, limits: limits)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("an error names the field from the resource down")
  func fieldPath() {
    #expect(
      rejection(of: .service(Self.service)) { $0.service.rules[0].backends[1].service = "orders" }
        == "service.rules[0].backends[1].service: \"orders\" is not NAME.NAMESPACE:PORT")
    #expect(
      rejection(of: .endpoints(Self.endpoints)) { $0.endpoints.endpoints[1].address = "10.0.0.1" }
        == "endpoints.endpoints[1].address: \"10.0.0.1\" is not IP:PORT")
  }

  @Test("an unknown protocol, path, header name or status rejects the service")
  func badService() {
    let changes: [(String, (inout Apus_V1_Service) -> Void)] = [
      ("app_protocol", { $0.appProtocol = "quic" }),
      ("rules[0].name", { $0.rules[0].name = "" }),
      ("rules[0].rate_limits[0].key", { $0.rules[0].rateLimits[0].key = nil }),
      ("rules[0].rate_limits[0].requests", { $0.rules[0].rateLimits[0].requests = 0 }),
      ("rules[0].rate_limits[1].period_ms", { $0.rules[0].rateLimits[1].periodMs = 0 }),
      ("rules[0].rate_limits[2].header.name", { $0.rules[0].rateLimits[2].header = "a b" }),
      ("rules[0].rate_limits[2].header", { $0.rules[0].rateLimits[2].header = "X-Tenant" }),
      ("rules[0].hedging", { $0.rules[0].hedging.start = nil }),
      ("rules[0].hedging.delay_ms", { $0.rules[0].hedging.delayMs = 0 }),
      ("rules[0].hedging.quantile", { $0.rules[0].hedging.quantile = 10_000 }),
      ("rules[0].retry.grpc_statuses[0]", { $0.rules[0].retry.grpcStatuses = [0] }),
      ("rules[0].retry.grpc_statuses[1]", { $0.rules[0].retry.grpcStatuses = [1, 17] }),
      ("rules[0].retry.failures[0]", { $0.rules[0].retry.failures = [.UNRECOGNIZED(9)] }),
      ("rules[0].session.carrier", { $0.rules[0].session.carrier = nil }),
      ("rules[0].session.cookie.name", { $0.rules[0].session.cookie.name = "a=b" }),
      ("rules[0].session.cookie.path", { $0.rules[0].session.cookie.path = "/; Secure" }),
      ("rules[0].session.header.name", { $0.rules[0].session.header = "x session" }),
      ("rules[0].session.header", { $0.rules[0].session.header = "X-Session" }),
      ("rules[0].session.absolute_timeout_ms", { $0.rules[0].session.absoluteTimeoutMs = 0 }),
      ("rules[0].session.idle_timeout_ms", { $0.rules[0].session.idleTimeoutMs = 1_500 }),
      ("rules[0].failure_status", { $0.rules[0].failureStatus = 99 }),
      ("rules[0].backends[0].failure_status", { $0.rules[0].backends[0].failureStatus = 70_000 }),
      ("rules[4].backends", { $0.rules[4].failureStatus = 0 }),
      ("rules[2].server_names[1]", { $0.rules[2].serverNames[1] = "A.example" }),
      ("rules[2].server_names[0]", { $0.rules[2].serverNames[0] = "**" }),
      ("rules[2].server_names[0]", { $0.rules[2].serverNames[0] = "*.*.a" }),
      ("rules[0].matches[0].path_prefix", { $0.rules[0].matches[0].pathPrefix = "a" }),
      ("rules[0].matches[1].exact_path", { $0.rules[0].matches[1].exactPath = "x" }),
      ("rules[0].matches[0].headers[0].name", { $0.rules[0].matches[0].headers[0].name = "X-User" }),
      ("rules[0].matches[0].headers[0].value", { $0.rules[0].matches[0].headers[0].value = nil }),
      ("rules[0].filters[0].set[0].name", { $0.rules[0].filters[0].headers.set[0].name = "a b" }),
      ("rules[0].filters[0].set[0].value", { $0.rules[0].filters[0].headers.set[0].value = "a\r\nb: c" }),
      ("rules[0].filters[0].remove[0].name", { $0.rules[0].filters[0].headers.remove[0] = "" }),
      ("rules[0].filters[1].hostname", { $0.rules[0].filters[1].rewrite.hostname = "a b" }),
      ("rules[0].filters[1].prefix.replacement", { $0.rules[0].filters[1].rewrite.path.prefix.replacement = "/\r\n" }),
      ("rules[0].filters[2].numerator", { $0.rules[0].filters[2].mirror.numerator = 4 }),
      ("rules[0].filters[2].numerator", { $0.rules[0].filters[2].mirror.denominator = 0 }),
      ("rules[0].filters[3].cors", { $0.rules[0].filters[3].cors.allowOrigins = ["a\r\nb: c"] }),
      ("rules[1].filters[0].scheme", { $0.rules[1].filters[0].redirect.scheme = "javascript" }),
      ("rules[1].filters[0].status", { $0.rules[1].filters[0].redirect.status = 200 }),
      ("rules[1].filters[0].kind", { $0.rules[1].filters[0].kind = nil }),
      ("rules[0].timeouts.request_ms", { $0.rules[0].timeouts.requestMs = -1 }),
      ("rules[0].retry.status_codes[0]", { $0.rules[0].retry.statusCodes = [200] }),
      ("rules[0].retry.backoff_ms", { $0.rules[0].retry.backoffMs = .max }),
      ("rules[0].matches[0].query_parameters[0].value", { $0.rules[0].matches[0].queryParameters[0].value = nil }),
    ]
    for (field, change) in changes {
      let text = rejection(of: .service(Self.service)) { change(&$0.service) }
      #expect(text?.hasPrefix("service.\(field): ") == true, "\(field): \(text ?? "accepted")")
    }
  }

  @Test("a false identity, port or name rejects endpoints and workloads")
  func badEndpointsAndWorkloads() {
    let set = MeshResource.endpoints(Self.endpoints)
    #expect(rejection(of: set) { $0.endpoints.endpoints[0].identity = "spiffe://a/b" } != nil)
    #expect(rejection(of: set) { $0.endpoints.endpoints[0].meshPort = 0 } != nil)
    #expect(rejection(of: set) { $0.endpoints.endpoints[0].address = "0.0.0.0:80" } != nil)
    let workload = MeshResource.workload(Self.workload)
    #expect(rejection(of: workload) { $0.workload.identity = "" } != nil)
    #expect(rejection(of: workload) { $0.workload.ports[0].port = 65_536 } != nil)
    #expect(rejection(of: workload) { $0.workload.name = "other" } != nil)
    #expect(rejection(of: workload) { $0.workload.namespace = "UPPER" } != nil)
  }

  @Test("a fault that means nothing rejects the service")
  func badFaults() {
    func error(_ change: (inout Apus_V1_Fault) -> Void) -> String? {
      rejection(of: .service(Self.service)) { message in
        change(&message.service.rules[0].faults[0])
      }
    }
    let field = "service.rules[0].faults[0]"
    #expect(error { $0.name = "" } == "\(field).name: empty")
    #expect(error { $0.millionths = 1_000_001 } == "\(field).millionths: 1000001 is more than all")
    #expect(error { $0.corruptMillionths = .max } == "\(field).corrupt_millionths: 4294967295 is more than all")
    #expect(error { $0.delay.points = [] } == "\(field).delay.points: empty")
    #expect(error { $0.delay.points[1].delayUs = 0 } == "\(field).delay.points[1]: does not ascend")
    #expect(error { $0.delay.points[1].quantileMillionths = 500_000 } == "\(field).delay.points[1]: does not ascend")
    #expect(
      error { $0.delay.points[0].delayUs = -1 } == "\(field).delay.points[0].delay_us: -1 is not within 0 and an hour")
    #expect(error { $0.abort.status = 200 } == "\(field).abort.status: 200 is not within 400 and 599")
    #expect(error { $0.abort.grpcStatus = 17 } == "\(field).abort.grpc_status: 17 is no status of gRPC")
    #expect(error { $0.abort = Apus_V1_FaultAbort() } == "\(field).abort: no status")
    for change: (inout Apus_V1_Fault) -> Void in [
      { $0.windowLengthMs = 4 }, { $0.windowLengthMs = 0 }, { $0.windowPeriodMs = .min }, { $0.startMs = 0 },
    ] {
      #expect(
        error(change) == "\(field).window_length_ms: not within 1 and the period, or without a start")
    }
    #expect(error { $0.endMs = -1 } == "\(field).end_ms: -1 is no time")
  }

  @Test("a body of another kind than the name is rejected")
  func kindMismatch() {
    #expect(rejection(of: .service(Self.service)) { $0.endpoints = .init() } != nil)
    #expect(rejection(of: .service(Self.service)) { $0.body = nil } != nil)
    #expect(rejection(of: .service(Self.service)) { $0.name.kind = .unspecified } != nil)
    #expect(rejection(of: .service(Self.service)) { $0.name.kind = .UNRECOGNIZED(77) } != nil)
  }

  @Test("each limit holds at its number and rejects one more")
  func limits() {
    var limits = ConversionLimits()
    limits.maximumRules = 5
    limits.maximumEndpoints = 2
    limits.maximumRuleParts = 4
    limits.maximumInboundPorts = 4
    #expect(rejection(of: .service(Self.service), limits: limits) { _ in } == nil)
    #expect(rejection(of: .endpoints(Self.endpoints), limits: limits) { _ in } == nil)
    #expect(rejection(of: .workload(Self.workload), limits: limits) { _ in } == nil)

    let service = MeshResource.service(Self.service)
    #expect(rejection(of: service, limits: limits) { $0.service.rules.append($0.service.rules[0]) } != nil)
    #expect(
      rejection(of: service, limits: limits) {
        let match = $0.service.rules[0].matches[0]
        $0.service.rules[0].matches = Array(repeating: match, count: 5)
      } != nil)
    #expect(
      rejection(of: service, limits: limits) {
        $0.service.rules[0].filters.append($0.service.rules[0].filters[0])
      } != nil)
    #expect(
      rejection(of: service, limits: limits) {
        $0.service.rules[0].backends[0].filters = Array(repeating: $0.service.rules[0].filters[0], count: 5)
      } != nil)
    #expect(
      rejection(of: service, limits: limits) {
        $0.service.rules[0].retry.statusCodes = Array(repeating: 500, count: 5)
      } != nil)
    #expect(
      rejection(of: .endpoints(Self.endpoints), limits: limits) {
        $0.endpoints.endpoints.append($0.endpoints.endpoints[0])
      } != nil)
    #expect(
      rejection(of: .workload(Self.workload), limits: limits) {
        $0.workload.ports.append($0.workload.ports[0])
      } != nil)
    #expect(
      rejection(of: service) { $0.service.rules[0].name = String(repeating: "a", count: 4_097) } != nil)
  }
}
