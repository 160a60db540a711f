// SPDX-License-Identifier: Apache-2.0
// Verifies the signature of files with the package dkim; prints a result per line.
const fs = require('fs');
const dkim = require('dkim');

const result = content => new Promise((resolve, reject) => dkim.verify(content, (error, found) =>
    error ? reject(error) : resolve(found.length === 1 && found[0].verified ? 'pass' : `fail: ${found.map(one => one.error)}`)));

(async () => {
    for (const name of process.argv.slice(3)) {
        console.log(await result(fs.readFileSync(name)));
    }
})();
