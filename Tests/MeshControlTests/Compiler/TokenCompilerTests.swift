import MeshAPI
import MeshCore
import MeshPolicy
import MeshResources
import SwiftProtobuf
import Testing

@testable import MeshControl

@Suite("Compilation of request authentication") struct TokenCompilerTests {
  private static func authentication(
    _ name: String, _ target: String, required: Bool = false, namespace: String = "shop", issuer: String? = nil
  ) -> String {
    """
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: RequestAuthentication
    metadata: {name: \(name), namespace: \(namespace)}
    spec:
      targetRefs: [{\(target)}]
      required: \(required)
      jwtRules: [{issuer: \(issuer ?? name), audiences: [a], jwksFile: /\(name)}]

    """
  }

  private static let mesh = "group: mesh.apus.dev, kind: Mesh, name: default"
  private static let namespace = "group: \"\", kind: Namespace, name: shop"
  private static func service(_ name: String, port: String? = nil) -> String {
    "group: \"\", kind: Service, name: \(name)" + (port.map { ", sectionName: \($0)" } ?? "")
  }

  private static let workloads = [
    MeshFixture.workload("w", service: "orders", host: 3, labels: ["app": "orders", "version": "v1"])
  ]

  private static func compile(_ manifests: String) -> CompiledMesh {
    MeshCompiler.compile(MeshFixture.snapshot(MeshFixture.orders + manifests, workloads: workloads))
  }

  private static func tokens(_ manifests: String) -> TokenPolicy? {
    compile(manifests).workloads["w"]?.ports.first { $0.port == 8080 }?.tokens
  }

  @Test("the most specific level counts, and rules of one level add up")
  func levels() {
    let wide = Self.authentication("everywhere", Self.mesh, required: true, namespace: "apus-system")
    #expect(Self.tokens("") == nil)
    #expect(Self.tokens(wide)?.issuers.map(\.policy) == ["apus-system/everywhere"])
    #expect(Self.tokens(wide)?.isRequired == true)
    let near = wide + Self.authentication("a", Self.namespace) + Self.authentication("b", Self.namespace)
    #expect(Self.tokens(near)?.issuers.map(\.issuer) == ["a", "b"] && Self.tokens(near)?.isRequired == false)
    let nearer = near + Self.authentication("c", Self.service("orders"), required: true)
    #expect(Self.tokens(nearer)?.issuers.map(\.issuer).contains("c") == true && Self.tokens(nearer)?.isRequired == true)
  }

  @Test("a port behind two services keeps the rules of both: no other name is a way around them")
  func twoServices() throws {
    let both = try #require(
      Self.tokens(
        Self.authentication("a", Self.service("orders"))
          + Self.authentication("b", Self.service("orders-v1"), required: true)))
    #expect(Set(both.issuers.map(\.issuer)) == ["a", "b"] && both.isRequired)
    let one = try #require(Self.tokens(Self.authentication("b", Self.service("orders-v1"), required: true)))
    #expect(one.issuers.map(\.issuer) == ["b"] && one.isRequired)
  }

  @Test("a manifest with an error, and none before it, closes what it is for")
  func rejected() throws {
    let text = Self.authentication("a", Self.service("orders")).replacing("/a}", with: "a}")
    let parsed = ManifestParser.parse(file: "r.yaml", text: text)
    var snapshot = MeshFixture.snapshot(MeshFixture.orders, workloads: Self.workloads)
    let located = try #require(parsed.rejected.first)
    snapshot.rejected = [located.value.key: located]
    snapshot.problems = parsed.errors
    let compiled = MeshCompiler.compile(snapshot)
    let tokens = try #require(compiled.workloads["w"]?.ports.first?.tokens)
    #expect(tokens == TokenPolicy(issuers: [], isRequired: true))
    let status = try #require(compiled.policyStatuses.first { $0.key == located.value.key })
    #expect(status.ancestors[0].conditions[0].reason == "Invalid")
  }

  @Test("a change reaches the workload and nothing else, and survives the wire")
  func wire() throws {
    let compiled = Self.compile(
      Self.authentication("a", Self.service("orders")).replacing(
        "jwksFile: /a}",
        with:
          "jwksUri: \"https://a/k\", jwksCACertificates: pem, fromHeaders: [{name: x, prefix: p}], fromParams: [q], fromCookies: [c], outputClaimToHeaders: [{header: h, claim: s}], forwardOriginalToken: true, clockSkew: 7s, outputPayloadToHeader: p}"
      ))
    #expect(
      CompiledMesh.difference(from: Self.compile(""), to: compiled)
        == CompiledDifference(changed: [.workload("w")], removed: []))
    let config = try #require(compiled.workloads["w"])
    let bytes: [UInt8] = try Apus_V1_Workload(config).serializedBytes()
    #expect(try WorkloadConfig(Apus_V1_Workload(serializedBytes: bytes)) == config)
    #expect(config.ports[0].tokens?.issuers[0].locations.count == 3)
    #expect(config.ports[0].tokens?.issuers[0].payloadHeader == "p")
  }

  @Test("targets that do not exist, and ports that carry TCP, are told")
  func findings() {
    let compiled = Self.compile(Self.authentication("a", Self.service("oders")))
    #expect(compiled.warnings.contains { $0.code == .policyTargetNotFound && $0.fix.contains("orders") })
    let opaque = MeshFixture.service("db", selector: "{app: db}", ports: "[{name: tcp, port: 5432, appProtocol: tcp}]")
    let other = Self.compile(opaque + Self.authentication("a", Self.service("db")))
    #expect(
      other.warnings.contains {
        $0.code == .policyFieldUnused && $0.message.contains("carries TCP") || $0.message.contains("carry TCP")
      })
  }

  @Test("why names the manifest and what it asks for")
  func why() throws {
    let compiled = Self.compile(Self.authentication("a", Self.service("orders"), required: true))
    let entry = try #require(compiled.policyInForce(MeshFixture.port("orders"))?.entries.last)
    #expect(entry.policy == "RequestAuthentication shop/a" && entry.value == "a token of a is required")
  }
}
