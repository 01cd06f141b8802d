import MeshCore
import MeshResources
import Testing

@testable import MeshControl

@Suite("Manifest store") struct ManifestStoreTests {
  private func account(_ names: String...) -> String {
    names.map { "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \($0)}\n" }.joined()
  }

  @Test("what is told of one file's edit is the state of all files, and which objects differ")
  func edits() throws {
    var store = ManifestStore()
    store.update("a.yaml", text: account("web", "api"))
    store.update("b.yaml", text: account("db"))
    #expect(store.update().changed == nil)
    #expect(store.update().changed == [])
    // A comment moves what stands below it.
    store.update("a.yaml", text: "# of the shop\n" + account("web", "api", "new"))
    let (set, changed) = store.update()
    #expect(Set(try #require(changed).map(\.name)) == ["web", "api", "new"])
    #expect(set == store.merged())
    store.update("c.yaml", text: account("last"))
    let added = store.update()
    #expect(try #require(added.changed).map(\.name) == ["last"])
    #expect(added.set == store.merged())
  }

  @Test(
    "whatever is written where, the state is that of all files put together", arguments: 1...4 as ClosedRange<UInt64>)
  func random(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var store = ManifestStore()
    var last = store.update().set
    for _ in 0..<300 {
      let path = "f\(random.next(below: 4)).yaml"
      switch random.next(below: 8) {
      case 0: store.remove(path)
      case 1:
        store.update(path, text: account("a") + "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: 7}\n")
      case 2: store.fail(path, "gone for a moment")
      default:
        let comment = String(repeating: "#\n", count: Int(random.next(below: 2)))
        let names = ["a", "b", "c", "d", "e"].filter { _ in random.next(below: 3) == 0 }
        store.update(path, text: comment + names.map { account($0) }.joined())
      }
      let (set, changed) = store.update()
      #expect(set == store.merged())
      if let changed {
        for (key, object) in set.objects where last.objects[key] != object { #expect(changed.contains(key)) }
        #expect(Set(last.objects.keys).subtracting(set.objects.keys).isSubset(of: changed))
      }
      last = set
    }
  }
}
