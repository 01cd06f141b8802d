import MeshResources
import Testing

@Suite("Limits of manifest files")
struct ManifestLimitTests {
  private func account(_ name: String) -> String {
    "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \(name)}\n"
  }

  @Test("aliases that expand past the limit are refused, and the next document stands")
  func aliasBomb() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...30 {
      let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(items)]\n"
    }
    let result = ManifestParser.parse(file: "bomb.yaml", text: text + account("web"))
    #expect(result.errors.count == 1)
    #expect(
      result.errors.first?.message == "the document has more than 100000 values once its aliases are expanded")
    #expect(result.objects.map(\.value.key.name) == ["web"])
  }

  @Test(
    "an alias as a key is refused before it is hashed",
    arguments: ["? *a30\n: x", "*a30 : x", "{*a30 : x}", "[*a30] : x"])
  func aliasKey(entry: String) {
    var text = "a0: &a0 [x, x]\n"
    for level in 1...30 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    let result = ManifestParser.parse(file: "bomb.yaml", text: text + entry + "\n")
    #expect(result.errors.map(\.message) == ["a key must be plain text in a document with anchors"])
    #expect(result.errors.first?.line == 32)
  }

  @Test("anchors, aliases and merge keys are resolved")
  func aliases() {
    let text = """
      apiVersion: v1
      kind: List
      items:
      - &web
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: &spec {ports: [{port: 80}]}
      - <<: *web
        metadata: {name: shop}
      """
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.errors.isEmpty)
    #expect(result.objects.map(\.value.key.name) == ["web", "shop"])
  }

  @Test("10,000 documents are read, and one more refuses the file")
  func documents() {
    let many = (1...10_000).map { account("a\($0)") }.joined()
    #expect(ManifestParser.parse(file: "f.yaml", text: many).objects.count == 10_000)
    let result = ManifestParser.parse(file: "f.yaml", text: many + account("last"))
    #expect(result.objects.isEmpty)
    #expect(
      result.errors.map(\.description) == ["f.yaml:40001:1: the file has more than 10000 documents; split the file"])
  }

  @Test("deep nesting is refused", arguments: [65, 100_000])
  func depth(levels: Int) {
    let text = "a: " + String(repeating: "[", count: levels) + String(repeating: "]", count: levels) + "\n"
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.errors.count == 1)
    #expect(result.objects.isEmpty)
  }

  @Test("a file past 4 MiB is refused")
  func size() {
    let text = account("web") + "# " + String(repeating: "x", count: 4 * 1024 * 1024)
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.errors.map(\.message) == ["the file is larger than 4 MiB"])
    #expect(result.objects.isEmpty)
  }

  @Test("a syntax error spoils its own document only, with the line of the file")
  func syntaxError() {
    let text = account("web") + "---\na: [\n" + account("orders")
    let result = ManifestParser.parse(file: "f.yaml", text: text)
    #expect(result.objects.map(\.value.key.name) == ["web", "orders"])
    #expect(result.objects.map(\.position.line) == [2, 8])
    #expect(result.errors.map(\.line) == [7])
  }

  @Test("an object that stands twice in a file is an error that names the first place")
  func duplicate() {
    let result = ManifestParser.parse(file: "f.yaml", text: account("web") + account("web"))
    #expect(
      result.errors.map(\.description) == [
        "f.yaml:6:1: ServiceAccount default/web: ServiceAccount default/web already stands at f.yaml:2:1, "
          + "and that one is used; remove one of the two"
      ])
    #expect(result.objects.count == 1)
  }

  @Test("JSON reads like YAML")
  func json() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ServiceAccount\",\n\t\"metadata\": {\"name\": \"web\"}\n}\n"
    #expect(ManifestParser.parse(file: "f.json", text: text).objects.map(\.value.key.name) == ["web"])
  }
}
