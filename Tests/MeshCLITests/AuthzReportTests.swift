import MeshCLI
import MeshCore
import MeshPolicy
import Testing

@Suite("apus authz") struct AuthzReportTests {
  private let orders = ServicePort(service: ServiceName(name: "orders", namespace: "shop"), port: 80)

  private func report(_ authorization: Authorization?) -> AuthzReport {
    var view = MeshView()
    if let authorization {
      view.authorizations[orders] = [
        EndpointAuthorization(endpoints: ["127.66.0.3:8080"], authorization: authorization)
      ]
    }
    return AuthzReport(view, of: [orders])
  }

  @Test("a service without rules is everybody's, and one with a mode follows it") func modes() {
    #expect(report(nil).render() == "orders.shop:80\n  everybody may call: no policy speaks of it\n")
    let closed = report(Authorization(mode: .deny, modeSource: "apus-system/closed"))
    #expect(closed.render() == "orders.shop:80  at 127.66.0.3:8080\n  everybody else is refused (apus-system/closed)\n")
    #expect(closed.ports[0].otherwise == "deny" && closed.ports[0].source == "apus-system/closed")
  }

  @Test("rules are told in the order in which they decide: who, for what, by which policy") func rows() {
    let web = AuthorizationSource(principals: Selection(["spiffe://cluster.local/ns/shop/sa/web"]))
    let api = AuthorizationOperation(methods: Selection(["GET"]), paths: Selection([.regularExpression("(/api).*")]))
    let abroad = AuthorizationSource(
      principals: Selection(["spiffe://other/ns/a/sa/b"]), namespaces: Selection(not: ["guest"]))
    let cohort = AuthorizationCondition(.headerPattern("x-cohort"), Selection(["beta"]))
    let service = ServicePort(service: ServiceName(name: "opa", namespace: "shop"), port: 9_191)
    let report = report(
      Authorization(policies: [
        AuthorizationPolicy(
          name: "traffictarget/shop/api", action: .allow, rules: [AuthorizationRule(sources: [web], operations: [api])]),
        AuthorizationPolicy(name: "traffictarget/shop/none", action: .allow, rules: []),
        AuthorizationPolicy(
          name: "shop/no", action: .deny, rules: [AuthorizationRule(sources: [abroad], conditions: [cohort])]),
        AuthorizationPolicy(
          name: "shop/ask", action: .custom(provider: "opa"), rules: [AuthorizationRule()],
          authorizer: ExternalAuthorizer(service: service, wire: .grpc(.init()))),
      ]))
    let rows = report.ports[0].rows.map { "\($0.action) | \($0.callers) | \($0.calls) | \($0.policy)" }
    #expect(
      rows == [
        "custom | everybody | everything | shop/ask",
        "deny | spiffe://other/ns/a/sa/b and namespace not guest | header x-cohort ~ beta | shop/no",
        "allow | shop/web | GET ~(/api).* | traffictarget/shop/api",
        "allow | nobody | nothing | traffictarget/shop/none",
      ])
    #expect(report.ports[0].rows[0].provider == "opa.shop:9191")
    #expect(report.ports[0].otherwise == "deny" && report.render().hasSuffix("  everybody else is refused\n"))
    #expect(report.render().contains("custom by opa.shop:9191"))
  }

  @Test("a policy with a mistake is everybody's refusal") func broken() {
    let report = report(Authorization(policies: [.broken("shop/b")]))
    #expect(report.ports[0].rows.map(\.calls) == ["everything, until the policy is mended"])
    #expect(report.ports[0].otherwise == "deny" && report.render().hasSuffix("  everybody else is refused\n"))
  }
}
