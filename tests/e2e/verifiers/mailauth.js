// SPDX-License-Identifier: Apache-2.0
// Verifies the signature (dkim) or the ARC sets (arc) of files with mailauth; prints a result per line.
const dns = require('dns');
const fs = require('fs');
const { dkimVerify } = require('mailauth/lib/dkim/verify');
const { arc } = require('mailauth/lib/arc');

async function result(kind, content) {
    const options = { resolver: dns.promises.resolve };
    const found = await dkimVerify(content, options);
    if (kind === 'arc') {
        return (await arc(found.arc, options)).status.result;
    }
    const results = found.results.map(one => one.status.result);
    return results.length === 1 ? results[0] : `${results.length} signatures`;
}

(async () => {
    for (const name of process.argv.slice(3)) {
        console.log(await result(process.argv[2], fs.readFileSync(name)));
    }
})();
