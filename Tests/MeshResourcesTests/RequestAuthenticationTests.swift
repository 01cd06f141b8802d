import MeshCore
import MeshPolicy
import MeshResources
import Testing

@Suite("Decoding of request authentication") struct RequestAuthenticationTests {
  private struct Missing: Error {}

  private static let service = "{group: \"\", kind: Service, name: orders}"

  private static func parse(_ rules: String, more: String = "", target: String = service) -> ManifestParser.Result {
    ManifestParser.parse(
      file: "r.yaml",
      text: """
        apiVersion: mesh.apus.dev/v1alpha1
        kind: RequestAuthentication
        metadata: {name: users, namespace: shop}
        spec:
          targetRefs: [\(target)]
          \(more)
          jwtRules: \(rules)

        """)
  }

  private static func policy(_ rules: String, more: String = "") throws -> TokenPolicy {
    let result = parse(rules, more: more)
    #expect(result.errors.map(\.description) == [])
    guard case .requestAuthentication(let object)? = result.objects.first?.value else { throw Missing() }
    #expect(object.targets == [PolicyTarget(kind: .service, name: "orders")])
    return object.policy
  }

  @Test("what is not said has its default")
  func defaults() throws {
    let policy = try Self.policy("[{issuer: me, audiences: [a], jwksUri: \"https://me.example/keys\"}]")
    #expect(!policy.isRequired && policy.issuers.count == 1)
    #expect(
      policy.issuers[0]
        == TokenIssuer(
          policy: "shop/users", issuer: "me", audiences: ["a"],
          keys: .url("https://me.example/keys", authorities: nil)))
  }

  @Test("every field is read")
  func everything() throws {
    let policy = try Self.policy(
      """
      [{issuer: me, audiences: [a, b], jwksFile: /etc/keys.json, forwardOriginalToken: true, clockSkew: 5s,
        fromHeaders: [{name: X-Token, prefix: "t "}, {name: Authorization}], fromParams: [access_token], fromCookies: [session],
        outputClaimToHeaders: [{header: X-User, claim: sub}], outputPayloadToHeader: X-Claims}]
      """, more: "required: true")
    let issuer = try #require(policy.issuers.first)
    #expect(policy.isRequired && issuer.forwardsToken && issuer.clockSkew == .seconds(5))
    #expect(issuer.keys == .file("/etc/keys.json"))
    #expect(
      issuer.locations == [
        .header(name: "x-token", prefix: "t "), .authorization, .parameter("access_token"), .cookie("session"),
      ])
    #expect(issuer.claimHeaders == [.init(header: "x-user", claim: "sub")] && issuer.payloadHeader == "x-claims")
  }

  private static let good = "issuer: me, audiences: [a]"

  @Test(
    "mistakes are refused where they stand",
    arguments: [
      ("[]", "spec.jwtRules", "must not be empty"),
      ("[{audiences: [a], jwksFile: /k}]", "spec.jwtRules[0].issuer", "is required"),
      ("[{\(good)}]", "spec.jwtRules[0]", "names no keys"),
      ("[{\(good), jwksFile: /k, jwksUri: \"https://a/\"}]", "spec.jwtRules[0].jwksUri", "stands beside"),
      ("[{\(good), jwksFile: keys.json}]", "spec.jwtRules[0].jwksFile", "is not an absolute path"),
      ("[{\(good), jwksUri: \"ftp://a/\"}]", "spec.jwtRules[0].jwksUri", "is not a URL"),
      (
        "[{\(good), jwksUri: \"http://127.0.0.1/\", jwksCACertificates: x}]", "spec.jwtRules[0].jwksCACertificates",
        "is for https"
      ),
      ("[{\(good), jwksFile: /k, jwksCACertificates: x}]", "spec.jwtRules[0].jwksCACertificates", "is for keys from"),
      ("[{\(good), jwks: \"{}\"}]", "spec.jwtRules[0].jwks", "cannot be used"),
      ("[{\(good), jwksFile: /k, clockSkew: 1h}]", "spec.jwtRules[0].clockSkew", "is longer"),
      (
        "[{\(good), jwksFile: /k, fromHeaders: [{name: x-apus-service}]}]", "spec.jwtRules[0].fromHeaders[0].name",
        "proxy itself"
      ),
      ("[{\(good), jwksFile: /k, fromCookies: [\"a b\"]}]", "spec.jwtRules[0].fromCookies[0]", "is not a cookie"),
      ("[{\(good), jwksFile: /k, fromParams: [t, t]}]", "spec.jwtRules[0]", "twice"),
      (
        "[{\(good), jwksFile: /k, outputClaimToHeaders: [{header: host, claim: a}]}]",
        "spec.jwtRules[0].outputClaimToHeaders[0].header", "proxy itself"
      ),
      (
        "[{\(good), jwksFile: /k, outputClaimToHeaders: [{header: Authorization, claim: a}]}]",
        "spec.jwtRules[0].outputClaimToHeaders[0].header", "meaning of its own"
      ),
      (
        "[{\(good), jwksFile: /k, outputPayloadToHeader: Cookie}]", "spec.jwtRules[0].outputPayloadToHeader",
        "meaning of its own"
      ),
      (
        "[{\(good), jwksFile: /k, outputClaimToHeaders: [{header: x, claim: a}], outputPayloadToHeader: X}]",
        "spec.jwtRules[0].outputPayloadToHeader", "has a claim already"
      ),
      ("[{\(good), jwksFile: /k, timeout: 1s}]", "spec.jwtRules[0].timeout", "not supported yet"),
      ("[{\(good), jwksFile: /k, jwksURI: x}]", "spec.jwtRules[0].jwksURI", "is not a field"),
    ])
  func mistakes(rules: String, field: String, message: String) {
    let result = Self.parse(rules)
    #expect(
      result.errors.contains { $0.severity == .error && $0.field == field && $0.message.contains(message) },
      "\(result.errors.map(\.description))")
    // Kept, so that what it is for can be closed.
    #expect(result.rejected.count == 1 && result.objects.isEmpty)
  }

  @Test("routes and servers outside have no proxy that could judge tokens")
  func targets() {
    for target in [
      "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}",
      "{group: mesh.apus.dev, kind: ExternalService, name: e}",
    ] {
      let result = Self.parse("[{\(Self.good), jwksFile: /k}]", target: target)
      #expect(result.errors.contains { $0.message.contains("beside a service's workloads") })
    }
  }

  @Test("what is dangerous and right by the letter is warned of")
  func warnings() {
    func warns(_ rules: String) -> [String] {
      Self.parse(rules).errors.filter { $0.severity == .warning }.map(\.message)
    }
    #expect(warns("[{issuer: me, jwksFile: /k}]").contains { $0.contains("any other service") })
    #expect(warns("[{\(Self.good), jwksUri: \"http://me.example/\"}]").contains { $0.contains("stands between") })
    #expect(warns("[{\(Self.good), jwksUri: \"http://127.0.0.1/\"}]").isEmpty)
  }
}
