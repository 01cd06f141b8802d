import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf
import Testing

@testable import MeshControl

@Suite("Compiling authorization policies") struct AuthorizationCompilerTests {
  static func policy(_ name: String, _ spec: String, namespace: String = "shop", target: String? = nil) -> String {
    let targets = target.map { "\n  targetRefs: [{group: \"\", kind: Service, \($0)}]" } ?? ""
    return """
      ---
      apiVersion: mesh.apus.dev/v1alpha1
      kind: AuthorizationPolicy
      metadata: {name: \(name), namespace: \(namespace)}
      spec:
        \(spec)\(targets)

      """
  }

  static let workloads = [
    MeshFixture.workload("orders-a", service: "orders", host: 2),
    MeshFixture.workload("pay-a", service: "pay", host: 3),
  ]

  private static let services =
    MeshFixture.service("orders", selector: "{app: orders}") + MeshFixture.service("pay", selector: "{app: pay}")
    + MeshFixture.service(
      "all", selector: "{group: all}", ports: "[{name: tcp, port: 81, targetPort: 8080, appProtocol: tcp}]")

  private static func compile(
    _ manifests: String, workloads: [RegisteredWorkload] = AuthorizationCompilerTests.workloads
  ) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(services + manifests, workloads: workloads))
  }

  private static func authorization(_ mesh: CompiledMesh, of workload: String) -> Authorization? {
    mesh.workloads[workload]?.ports.first { $0.port == 8080 }?.authorization
  }

  @Test("a policy concerns the ports of its target and no others")
  func targets() throws {
    #expect(Self.authorization(Self.compile(""), of: "orders-a") == nil)
    let one = Self.compile(Self.policy("p", "action: deny\n  rules: [{}]", target: "name: orders"))
    #expect(Self.authorization(one, of: "orders-a")?.policies.map(\.name) == ["shop/p"])
    #expect(Self.authorization(one, of: "pay-a") == nil)
    for (namespace, names) in [("shop", ["shop/p"]), ("apus-system", ["apus-system/p"]), ("other", [])] {
      let mesh = Self.compile(Self.policy("p", "{action: deny, rules: [{}]}", namespace: namespace))
      #expect(Self.authorization(mesh, of: "orders-a")?.policies.map(\.name) ?? [] == names)
    }
  }

  @Test("the most specific mode is in force, and policies of all levels")
  func levels() {
    let wide = Self.policy("m", "defaultMode: mesh-only", namespace: "apus-system")
    let namespace = Self.policy("n", "defaultMode: deny\n  action: allow\n  rules: [{from: [{namespaces: [shop]}]}]")
    let service = Self.policy("s", "defaultMode: allow", target: "name: pay")
    let mesh = Self.compile(wide + namespace + service)
    #expect(Self.authorization(mesh, of: "orders-a")?.mode == .deny)
    #expect(Self.authorization(mesh, of: "orders-a")?.modeSource == "shop/n")
    #expect(Self.authorization(mesh, of: "pay-a")?.mode == .allow)
    #expect(Self.authorization(mesh, of: "pay-a")?.policies.map(\.name) == ["shop/n"])
    let only = Self.compile(wide)
    #expect(Self.authorization(only, of: "pay-a") == Authorization(mode: .meshOnly, modeSource: "apus-system/m"))
  }

  @Test("of two modes for one thing the stricter is in force")
  func strictest() {
    let mesh = Self.compile(Self.policy("a", "defaultMode: deny") + Self.policy("b", "defaultMode: allow"))
    #expect(Self.authorization(mesh, of: "orders-a")?.modeSource == "shop/a")
  }

  @Test("a port that several services lead to has the policies of all of them, by any of their numbers")
  func shared() {
    var workload = MeshFixture.workload("orders-a", service: "orders", host: 2)
    workload.labels["group"] = "all"
    let mesh = Self.compile(
      Self.policy("all", "action: deny\n  rules: [{to: [{ports: [81]}]}]", target: "name: all")
        + Self.policy("number", "{action: deny, rules: [{to: [{ports: [80]}]}, {to: [{ports: [9]}]}]}"),
      workloads: [workload])
    #expect(Self.authorization(mesh, of: "orders-a")?.policies.map(\.name) == ["shop/all", "shop/number"])
    #expect(Self.authorization(mesh, of: "orders-a")?.policies.map(\.rules.count) == [1, 1])
  }

  @Test("a target that does not exist, and rules about requests for TCP, are told")
  func findings() {
    let mesh = Self.compile(
      Self.policy("gone", "action: deny\n  rules: [{}]", target: "name: order")
        + Self.policy("bytes", "action: allow\n  rules: [{to: [{methods: [GET]}]}]", target: "name: all")
        + Self.policy("fine", "action: allow\n  rules: [{from: [{namespaces: [shop]}]}]", target: "name: all"))
    let found = mesh.warnings.filter { $0.object.hasPrefix("AuthorizationPolicy") }.map {
      "\($0.key?.name ?? "") \($0.code?.rawValue ?? "")"
    }
    #expect(found == ["gone APUS0601", "bytes APUS0606"])
    let conditions = mesh.policyStatuses.filter { $0.key.kind == "AuthorizationPolicy" }.map { status in
      "\(status.key.name) "
        + status.ancestors.flatMap(\.conditions).map { "\($0.kind.rawValue)=\($0.isTrue)" }.joined(separator: " ")
    }
    #expect(
      conditions == [
        "bytes Accepted=true ResolvedRefs=true", "fine Accepted=true ResolvedRefs=true",
        "gone Accepted=false ResolvedRefs=false",
      ])
  }

  // MARK: - Mistakes

  /// The mesh with a policy that has a mistake and no version before, as `ManifestStore` tells of it.
  private static func compile(rejected text: String, _ others: String = "") throws -> CompiledMesh {
    let parsed = ManifestParser.parse(file: "r.yaml", text: text)
    var snapshot = MeshFixture.snapshot(services + others, workloads: workloads)
    let located = try #require(parsed.rejected.first)
    snapshot.rejected = [located.value.key: located]
    snapshot.problems = parsed.errors
    return MeshCompiler.compile(snapshot)
  }

  @Test("a policy with a mistake, and no version before, closes what it is for and nothing else")
  func rejected() throws {
    let allow = Self.policy("all", "action: allow\n  rules: [{}]")
    let mesh = try Self.compile(
      rejected: Self.policy("b", "action: allow\n  rules: [{form: []}]", target: "name: orders"), allow)
    let closed = try #require(Self.authorization(mesh, of: "orders-a"))
    #expect(closed.policies.map(\.name) == ["shop/all", "shop/b"] && closed.policies.map(\.isBroken) == [false, true])
    #expect(Self.authorization(mesh, of: "pay-a")?.policies.map(\.name) == ["shop/all"])
    let status = try #require(mesh.policyStatuses.first { $0.key.name == "b" })
    #expect(status.ancestors.map(\.target.name) == ["orders"])
    let condition = status.ancestors[0].conditions[0]
    #expect(condition.reason == "Invalid" && condition.message.contains("nobody may call"))
    let warning = try #require(mesh.warnings.first { $0.code == .authorizationClosed })
    #expect(warning.message.contains("every call to the Service shop/orders is refused"))
    let config = try #require(mesh.workloads["orders-a"])
    let bytes: [UInt8] = try Apus_V1_Workload(config).serializedBytes()
    #expect(try WorkloadConfig(Apus_V1_Workload(serializedBytes: bytes)) == config)
    #expect(mesh.hashes != Self.compile(allow).hashes)
  }

  @Test(
    "whatever the mistake is, what the policy can have been for is closed",
    arguments: [
      ("action: alow\n  rules: [{}]\n  targetRefs: [{group: \"\", kind: Service, name: orders}]", ["orders-a"]),
      ("defaultMode: open\n  targetRefs: [{group: \"\", kind: Service, name: orders}]", ["orders-a"]),
      ("action: deny\n  rules: [{}]\n  targetRefs: [{kind: Service, name: orders}]", ["orders-a", "pay-a"]),
      ("action: deny\n  rules: [{}]\n  targetRefs: orders", ["orders-a", "pay-a"]),
      ("action: deny\n  rules: [{}]\n  targetRefs: []", ["orders-a", "pay-a"]),
      ("action: allow\n  rules: [{}]\n  selector: {matchLabels: {app: orders}}", ["orders-a", "pay-a"]),
      ("{}", ["orders-a", "pay-a"]),
      ("action: deny\n  rules: [{}]\n  targetRefs: [{group: \"\", kind: Service, name: gone}]\n  x: 1", []),
      ("action: audit\n  rules: [{form: []}]", []),
      ("action: audit\n  rules: [{}]\n  defaultMode: open", ["orders-a", "pay-a"]),
    ])
  func mistakes(_ spec: String, _ closed: [String]) throws {
    let mesh = try Self.compile(rejected: Self.policy("b", spec))
    let found = mesh.workloads.values.filter { workload in
      Authorizer(workload.ports.first?.authorization ?? Authorization()).decide(Self.anybody).cause == .broken
    }
    #expect(found.map(\.name).sorted() == closed)
    #expect(mesh.warnings.contains { $0.code == .authorizationClosed } == !closed.isEmpty)
  }

  private static var anybody: AuthorizationCall {
    AuthorizationCall(caller: CallerFacts(identity: nil, address: nil), request: nil)
  }

  @Test("a mistake in the system namespace closes the mesh; where it names targets badly, that namespace") func root()
    throws
  {
    let whole = try Self.compile(
      rejected: Self.policy("b", "action: deny\n  rules: [{form: []}]", namespace: "apus-system"))
    #expect(Self.authorization(whole, of: "pay-a")?.policies.first?.isBroken == true)
    let own = try Self.compile(
      rejected: Self.policy("b", "action: deny\n  rules: [{}]\n  targetRef: {name: a}", namespace: "apus-system"))
    #expect(Self.authorization(own, of: "pay-a") == nil)
  }

  // MARK: - Edits

  private static let names = ["orders", "pay", "cart", "ship", "mail", "nowhere"]

  private static func random(_ random: inout SeededRandom, action: String? = nil) -> (ResourceKey, String) {
    let name = "p\(random.next(below: 6))"
    let namespace = random.next(below: 5) == 0 ? "apus-system" : "shop"
    let target =
      namespace == "shop" && random.next(below: 3) > 0 ? "name: \(names[random.next(below: names.count)])" : nil
    let rule = ["{}", "{from: [{namespaces: [shop]}]}", "{to: [{paths: [{prefix: /a}]}]}", "{to: [{ports: [80]}]}"][
      random.next(below: 4)]
    let action = action ?? ["allow", "deny", "audit"][random.next(below: 3)]
    let mode = ["", "defaultMode: deny\n  ", "defaultMode: mesh-only\n  "][random.next(below: 3)]
    let key = ResourceKey(group: "mesh.apus.dev", kind: "AuthorizationPolicy", namespace: namespace, name: name)
    return (key, policy(name, "\(mode)action: \(action)\n  rules: [\(rule)]", namespace: namespace, target: target))
  }

  @Test(
    "an edit reaches the workloads that it concerns, and the result is that of compiling everything",
    arguments: 1...4 as ClosedRange<UInt64>)
  func edits(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let text = Self.names.dropLast().map { MeshFixture.service($0, selector: "{app: \($0)}") }.joined()
    let workloads = Self.names.dropLast().enumerated().map {
      MeshFixture.workload("\($1)-a", service: $1, host: UInt8($0 + 2))
    }
    var snapshot = MeshFixture.snapshot(text, workloads: workloads)
    var compiler = IncrementalCompiler()
    _ = compiler.compile(snapshot, changed: nil, now: 1)
    var few = 0
    for revision in 0..<150 {
      let before = compiler.mesh
      let (key, text) = Self.random(&random)
      snapshot.manifests[key] =
        random.next(below: 4) == 0 ? nil : ManifestParser.parse(file: "p\(revision).yaml", text: text).objects.first
      let difference = compiler.compile(snapshot, changed: [key], now: 1)
      var whole = MeshCompiler.compile(snapshot)
      whole.routes = whole.routes.dated(after: [], now: 1)
      whole.policyStatuses = whole.policyStatuses.dated(after: [], now: 1)
      #expect(compiler.mesh.workloads == whole.workloads)
      #expect(compiler.mesh.hashes == whole.hashes)
      #expect(compiler.mesh.warnings == whole.warnings)
      #expect(compiler.mesh.policyStatuses == whole.policyStatuses)
      #expect(difference == CompiledMesh.difference(from: before, to: whole))
      if difference.changed.count == 1 { few += 1 }
    }
    #expect(compiler.partCount == 150)
    #expect(few > 20)
  }

  @Test(
    "adding an allow policy never removes access elsewhere, adding a deny policy never adds it",
    arguments: 1...3 as ClosedRange<UInt64>)
  func monotone(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let text = Self.names.dropLast().map { MeshFixture.service($0, selector: "{app: \($0)}") }.joined()
    let workloads = Self.names.dropLast().enumerated().map {
      MeshFixture.workload("\($1)-a", service: $1, host: UInt8($0 + 2))
    }
    for round in 0..<60 {
      var manifests = text
      for _ in 0..<random.next(below: 4) {
        manifests += Self.random(&random).1.replacing("name: p", with: "name: q\(random.next(below: 99))-")
      }
      let isAllow = round % 2 == 0
      let target = Self.names[random.next(below: Self.names.count - 1)]
      let added = Self.policy(
        "new", "action: \(isAllow ? "allow" : "deny")\n  rules: [{to: [{paths: [/a]}]}]", target: "name: \(target)")
      let before = MeshCompiler.compile(MeshFixture.snapshot(manifests, workloads: workloads))
      let after = MeshCompiler.compile(MeshFixture.snapshot(manifests + added, workloads: workloads))
      for workload in workloads {
        let (old, new) = (Self.authorization(before, of: workload.name), Self.authorization(after, of: workload.name))
        if workload.service != target { #expect(old == new) }
        if !isAllow { expectNoMore(old, new) }
      }
    }
  }

  private func expectNoMore(_ old: Authorization?, _ new: Authorization?) {
    let (old, new) = (Authorizer(old ?? Authorization()), Authorizer(new ?? Authorization()))
    for id in ["spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/pay/sa/x"] {
      let call = AuthorizationCall(
        caller: CallerFacts(identity: SPIFFEID(id), address: nil), request: nil)
      if old.decide(call).verdict == .deny { #expect(new.decide(call).verdict == .deny) }
    }
  }
}
